"""The ladder of Ascend recipes: AMCT INT8 → AMCT with sensitive layers left out → FP16 → FP16 with fp32 where the
converter thinks it matters → the model's own types. Pure: what is found of the chip comes in as facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from edgewright.core.config import GoalConfig
from edgewright.core.errors import ConfigError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Step
from edgewright.core.recipe import Recipe
from edgewright.core.task import TaskSpec
from edgewright.targets.cann import boards, gears, soc
from edgewright.targets.cann.atc_options import older
from edgewright.targets.cann.precheck import AMCT_OPSET, AMCT_UNKNOWN
from edgewright.targets.cann.quantised_model import is_quantised
from edgewright.targets.preparation import graph_steps, known_options

FAMILY = "cann"
OPTIONS = (
    "toolkit", "host", "board", "soc_version", "aipp", "quantiser", "calibration_samples", "fusion",
    "op_precision_mode", "small_channel", "keep_dtype", "gears",
)  # fmt: skip
CALIBRATION_SAMPLES = 32


def offers(
    model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
) -> Iterator[Recipe]:
    """INT8 where it can be calibrated, FP16 always, and what repairs either where it failed."""
    given = known_options(options, OPTIONS, FAMILY)
    toolchain = toolchain_of(facts, given)
    newest = newest_opset(str(toolchain["cann"]))
    common: dict[str, Any] = {"family": FAMILY, "graph": _steps(spec, newest), "toolchain": toolchain}
    if is_quantised(model.path):
        reason = "The model carries its own quantisation: `amct_onnx convert` takes it over, nothing is recalibrated."
        yield Recipe(name="int8", precision="int8", quantiser={"kind": "convert"}, reason=reason, **common)
        return
    if calibrated and "gears" not in toolchain:
        newest = AMCT_OPSET if older(str(toolchain["cann"]), AMCT_UNKNOWN) else newest
        yield from _quantised(given, {**common, "graph": _steps(spec, newest)})
    yield Recipe(
        name="fp16",
        precision="fp16",
        quantiser={"precision_mode_v2": "fp16"},
        reason="What the chip's cube unit computes in when it is not INT8; "
        + ("with gears there is no INT8." if "gears" in toolchain else "the .om that is kept beside every INT8 one."),
        **common,
    )
    yield Recipe(
        name="fp16-mixed",
        precision="fp16",
        quantiser={"precision_mode_v2": "mixed_float16", **_chosen(given, "keep_dtype")},
        only_if_failed=("fp16",),
        reason="FP16 lost too much: the converter's lists keep fp32 where the range of fp16 is too small.",
        **common,
    )
    yield Recipe(
        name="origin",
        precision="fp32",
        quantiser={"precision_mode_v2": "origin"},
        only_if_failed=("fp16", "fp16-mixed"),
        reason="The model's own types, wherever the chip has operators for them: the rung that keeps the accuracy.",
        **common,
    )


def _quantised(given: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[Recipe]:
    kind = str(given.get("quantiser", "amct"))
    if kind not in ("amct", "modelslim"):
        raise ConfigError(f"There is no quantiser '{kind}' for Ascend.", "Known: amct, modelslim.")
    settings = {"kind": kind, "samples": int(given.get("calibration_samples", CALIBRATION_SAMPLES))}
    yield Recipe(
        name="int8",
        precision="int8",
        quantiser=settings,
        reason=f"INT8 by {'AMCT' if kind == 'amct' else 'msModelSlim'} on the calibration data; the rest in FP16.",
        **common,
    )
    yield Recipe(
        name="mixed",
        precision="mixed",
        quantiser={**settings, "skip": "sensitive"},
        only_if_failed=("int8",),
        reason="INT8 lost too much: the layers whose results it changes most stay in FP16 "
        f"({'skip_layers of AMCT' if kind == 'amct' else 'exclude_nodes of msModelSlim'}).",
        **common,
    )


def tune(recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
    """Converter switches worth measuring on the leader, one at a time. The stand-in's times say nothing of them, so
    there only what changes its graph is tried."""
    chain = recipe.toolchain
    if "fusion" not in chain:
        yield _variant(recipe, "fusion-off", {"fusion": "off"}, "all fusion passes that may be turned off, off")
    if facts.simulated:
        return
    if "small_channel" not in chain:
        yield _variant(recipe, "small-channel", {"small_channel": True}, "the first convolution's small-channel kernel")
    if "op_precision_mode" not in chain:
        fast = {"Sigmoid": "high_performance"}
        yield _variant(recipe, "fast-sigmoid", {"op_precision_mode": fast}, "the faster, coarser Sigmoid kernel")


def _variant(recipe: Recipe, suffix: str, switch: Mapping[str, Any], reason: str) -> Recipe:
    toolchain = {**recipe.toolchain, **switch}
    return replace(
        recipe,
        name=f"{recipe.name}-{suffix}",
        toolchain=toolchain,
        only_if_failed=(),
        reason=f"{recipe.name} with {reason}.",
    )


def _steps(spec: TaskSpec, newest: int) -> tuple[Step, ...]:
    """Raw heads (no 5-D tensor and no NMS in the graph), batch fixed when it is built, the operator set last: the
    oldest that all tools read, a newer one only where the graph needs it."""
    batch = Step("fix_batch", {})
    steps = [step for step in graph_steps(spec, layout="NCHW", batch=batch) if step.kind != "fold_input"]
    return (*steps, Step("set_opset", {"version": AMCT_OPSET, "at_most": newest}))


def newest_opset(cann: str) -> int:
    """What the parser of that CANN is taken to read. 5 and 9 are the vendor's words; between them it is not confirmed
    which operators follow a newer set, and 13 is the last that users were seen to convert."""
    major = int(cann.split(".")[0]) if cann[:1].isdigit() else 0
    return 18 if major >= 9 else 13 if major >= 6 else AMCT_OPSET


def toolchain_of(facts: Facts, given: Mapping[str, Any]) -> dict[str, Any]:
    """Chip, toolkit and switches. ConfigError where the configuration names another chip than the device has."""
    found = str(facts.accelerator.get("soc_version", ""))
    row = boards.board(str(given["board"])) if given.get("board") else None
    named = (
        soc.checked(str(given["soc_version"]), found) if given.get("soc_version") else row.soc_version if row else ""
    )
    if named and found and named != found:
        raise ConfigError(
            f"The configuration says {named}, and the device has {found}.",
            "An .om runs on exactly one kind of chip: correct `board` or `options.soc_version`.",
        )
    if not (named or found):
        raise ConfigError(
            "No Ascend chip was found, and the configuration names none.",
            "Give `board: atlas-200i-dk-a2` (or another; `edgewright doctor --target cann` lists what is missing).",
        )
    chain = {
        "host": str(given.get("host", "")),
        "toolkit": str(given.get("toolkit", "")),
        "soc_version": named or found,
        "cann": str(facts.accelerator.get("cann", "")),
        "machine": facts.machine,
        "simulated": facts.simulated,
        "aipp": given.get("aipp", "rgb"),
    }
    if found and not soc.in_table(found):
        chain["reported"] = found  # no table here has it: the device's word for it
    if "fusion" in given:
        chain["fusion"] = _switches(given["fusion"])
    if "gears" in given:
        chain["gears"] = gears.checked(given["gears"])
    return {**chain, **_chosen(given, "op_precision_mode", "small_channel")}


def _switches(fusion: Any) -> Any:
    """`off` and `on` as words again: YAML reads them as truth values."""
    words = {True: "on", False: "off"}
    if isinstance(fusion, Mapping):
        return {str(name): words[state] if isinstance(state, bool) else state for name, state in fusion.items()}
    return words[fusion] if isinstance(fusion, bool) else fusion


def _chosen(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}
