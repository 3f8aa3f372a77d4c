"""Conversions handed to a machine that cannot be reached, and their results taken back."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgewright.core.contracts import BuildResult
from edgewright.core.errors import InputError
from edgewright.core.model import Model, Role
from edgewright.core.recipe import Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.targets import emit
from edgewright.targets.cann import amct
from edgewright.targets.cann.atc_options import older
from edgewright.targets.cann.build import assemble
from edgewright.targets.cann.conversion import Conversion, prepare
from edgewright.targets.cann.quantised_model import counts

RECORD = "edgewright.json"
SCRIPT = Path(__file__).with_name("convert_script.sh")
MAX_OM = 4 << 30


def write(
    models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> tuple[str, ...]:
    """The conversions as folders; gives one line `ROLE COMMAND…` per command, quoted for a shell."""
    conversions = prepare(models, spec, _for_any_host(recipe), calibration, folder)
    lines = []
    for one in conversions:
        text = json.dumps(replace(one, folder=Path()).to_json(), indent=1)
        (one.folder / RECORD).write_text(text + "\n", encoding="utf-8")
        lines += [f"{shlex.quote(one.role)} {shlex.join(command)}" for command in one.commands]
    return tuple(lines)


def _for_any_host(recipe: Recipe) -> Recipe:
    """The machine that converts is not known: the .om is told whose processor will run it, where that is known (a board
    of 310B is its own host, and an Arm one)."""
    chain = recipe.toolchain
    machine = chain.get("machine") or ("aarch64" if "310B" in str(chain.get("soc_version")) else "")
    if chain.get("host") or not machine:
        return recipe
    return replace(recipe, toolchain={**chain, "host": "another machine", "machine": machine})


def write_script(out: Path, project: str, lines: Sequence[str]) -> None:
    """`convert.sh`, which runs the lines of every recipe in `out`, and the page that says how to use it."""
    path = out / "convert.sh"
    text = SCRIPT.read_text(encoding="utf-8").replace("# CONVERSIONS\n", "\n".join(lines) + "\n")
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    (out / "README.md").write_text(README.replace("{project}", project), encoding="utf-8")


def read(folder: Path, recipe: Recipe, into: Path) -> BuildResult:
    """The .om files of `folder` as a build in `into`. InputError where one is missing, too large or not alone."""
    conversions, quantised = [], []
    for place in sorted(path.parent for path in folder.glob(f"*/{RECORD}")):
        one = replace(Conversion.from_json(json.loads((place / RECORD).read_text(encoding="utf-8"))), folder=place)
        made = sorted(path for path in place.glob(f"{one.role}*.om") if path.is_file() and not path.is_symlink())
        if len(made) != 1 or made[0].stat().st_size > MAX_OM:
            raise InputError(f"{place} holds {len(made)} .om files of {one.role}.", "Run its convert.sh again.")
        (into / "model").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made[0], into / "model" / f"{one.role}.om")
        _keep(place, into / "logs" / one.role)
        deployed = place / amct.DEPLOYED
        quantised.append(counts(emit.read_graph(deployed)) if deployed.is_file() else {})
        conversions.append(one)
    if not conversions:
        raise InputError(f"{folder} holds no conversion.", "Give a folder that `export-code convert` wrote.")
    _refuse_newer(folder, str(recipe.toolchain.get("cann") or ""))
    simulated = recipe.toolchain.get("simulated") or _was_simulated(folder)
    recipe = replace(recipe, toolchain={**recipe.toolchain, "simulated": bool(simulated)})
    return assemble(recipe, tuple(conversions), quantised, into)


def _keep(place: Path, logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for name in ("fusion_result.json", "aipp.cfg", "amct.cfg"):
        if (place / name).is_file():
            shutil.copyfile(place / name, logs / name)


def _was_simulated(folder: Path) -> bool:
    return "simulated=" in _version_file(folder)


def _refuse_newer(folder: Path, device: str) -> None:
    """InputError where a newer CANN than the device's converted: its .om does not run there (cann.md 1.5). Toolkits
    without a version.cfg say nothing."""
    found = re.search(r"^(?:Version=|\w+_running_version=\[[^\]\s]*:)([0-9][\w.+-]*)", _version_file(folder), re.M)
    if found and older(device, found.group(1)):
        raise InputError(
            f"CANN {found.group(1)} converted this, and what it makes does not run on CANN {device} of the device.",
            f"Convert it with CANN {device} or older, or upgrade the device.",
        )


def _version_file(folder: Path) -> str:
    """The script leaves the toolkit's version.cfg at the top; a stand-in says in it what it is."""
    path = folder.parent.parent / "version.cfg"
    return path.read_text(encoding="utf-8", errors="replace")[: 1 << 16] if path.is_file() else ""


README = """# Conversion of {project}

Everything that is needed to convert this model on a machine with the Ascend toolkit (CANN), written by Edgewright:
per recipe and model the ONNX file, AIPP and AMCT configurations and calibration batches (`.bin`, one batch each).

1. Copy this folder to that machine and say there: `bash convert.sh` (it looks for `set_env.sh` in the usual places;
   `ASCEND_SET_ENV=<path> bash convert.sh` names another). What is done is not done again. AMCT (`amct_onnx`) is
   a package of the vendor's own; without it the INT8 recipes fail, and the others are converted all the same.
2. Bring the folder back and say: `edgewright build CONFIG --import FOLDER`. After that `edgewright run CONFIG` goes on
   with checking, choosing and deploying.
"""
