"""The converter's options for one recipe, and the files they name."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError
from edgewright.core.model import Role
from edgewright.core.recipe import Port, Recipe
from edgewright.targets.cann import amct, atc_command, gears


def command(role: Role, recipe: Recipe, inputs: Sequence[Port], folder: Path, *, unit: bool) -> tuple[str, ...]:
    """`atc` and its options, each from a field of the recipe, checked by the table of what atc takes. `unit`: there is
    an aipp.cfg. Files that options name are written into `folder`."""
    chain, settings = recipe.toolchain, recipe.quantiser
    images = all(len(port.shape) == 4 for port in inputs)
    options = {
        "model": amct.DEPLOYED if settings.get("kind") else "model.onnx",
        "framework": "5",
        "output": role,
        "soc_version": str(chain["soc_version"]),
        "input_shape": ";".join(f"{port.name}:{_dims(port)}" for port in inputs),
        "input_format": "NCHW" if images and "dims" not in chain.get("gears", {}) else "ND",
        "log": "error",
    }
    if chain.get("gears"):
        options |= gears.options(chain["gears"], inputs)
    if unit:
        options["insert_op_conf"] = "aipp.cfg"
    if settings.get("precision_mode_v2"):
        options["precision_mode_v2"] = str(settings["precision_mode_v2"])
    if settings.get("keep_dtype"):
        (folder / "keep_dtype.txt").write_text("\n".join(map(str, settings["keep_dtype"])) + "\n", encoding="utf-8")
        options["keep_dtype"] = "keep_dtype.txt"
    if chain.get("fusion"):
        (folder / "fusion.cfg").write_text(_fusion_switches(chain["fusion"]), encoding="utf-8")
        options["fusion_switch_file"] = "fusion.cfg"
    if chain.get("op_precision_mode"):
        lines = ["[ByOpType]", *(f"{op}={mode}" for op, mode in chain["op_precision_mode"].items())]
        (folder / "op_precision.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        options["op_precision_mode"] = "op_precision.ini"
    if chain.get("small_channel"):
        options["enable_small_channel"] = "1"
    if chain.get("host") or chain.get("machine") not in (None, "", platform.machine()):
        # Converted on another machine than the device's: the .om has to be told whose processor runs the program.
        options["host_env_os"], options["host_env_cpu"] = "linux", str(chain.get("machine") or "aarch64")
    known = {"cann": str(chain["cann"]), "reported": str(chain.get("reported", ""))}
    return ("atc", *atc_command.build(options, soc_version=str(chain["soc_version"]), **known))


def _dims(port: Port) -> str:
    return ",".join("-1" if n is None else str(n) for n in port.shape)


def _fusion_switches(wanted: Any) -> str:
    """`off` turns every pass off that may be; a mapping names passes (GE: fusion_switch_file)."""
    if wanted == "off":
        switch: dict[str, Any] = {"GraphFusion": {"ALL": "off"}, "UBFusion": {"ALL": "off"}}
    elif isinstance(wanted, Mapping):
        switch = {"GraphFusion": {str(name): str(state) for name, state in wanted.items()}}
    else:
        raise ConfigError(f"fusion is {wanted!r}.", "Give `off`, or pass names with on or off.")
    return json.dumps({"Switch": switch}, indent=1) + "\n"
