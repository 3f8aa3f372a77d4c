"""The ladder of OpenVINO recipes, fastest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from edgewright.core.config import GoalConfig
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Step
from edgewright.core.recipe import Recipe
from edgewright.core.task import TaskSpec
from edgewright.targets.preparation import graph_steps, known_options, mostly_matmul

FAMILY = "openvino"
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
OPTIONS = ("threads", "streams", "hint", "inference_precision", "pinning")


def offers(
    model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
) -> Iterator[Recipe]:
    """INT8 where it can be calibrated (or needs no calibration), the half precision that the device was seen to
    execute, FP32. Facts without peaks leave the half precisions out: OpenVINO takes the hint and computes in fp32."""
    forced = known_options(options, OPTIONS, FAMILY)
    steps = graph_steps(spec, layout="NHWC", batch=Step("fix_batch", {"batch": 1}))
    half = next((kind for kind in ("bf16", "fp16") if kind in facts.peaks), "")
    matmul = mostly_matmul(model)
    rest = HINTS[half] if half else "f32"
    if calibrated or matmul:
        yield Recipe(
            name="int8",
            family=FAMILY,
            precision="int8",
            graph=steps,
            quantiser=_quantiser(matmul, calibrated),
            runtime={"hint": "latency", "inference_precision": rest, **forced},
            reason=_reason(matmul, calibrated, half),
        )
    if half:
        runtime = {"hint": "latency", "inference_precision": HINTS[half], **forced}
        reason = f"The device reached {facts.peaks[half]:.0f} GFLOP/s in {half}, {_gain(facts, half)} its fp32."
        yield Recipe(name=half, family=FAMILY, precision=half, graph=steps, runtime=runtime, reason=reason)
    runtime = {"hint": "latency", **forced, "inference_precision": "f32"}
    reason = "The float model with the same graph steps; the rung that always keeps the accuracy."
    yield Recipe(name="fp32", family=FAMILY, precision="fp32", graph=steps, runtime=runtime, reason=reason)


def tune(recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
    """Runtime variants of the leader, the most promising first; the built files are shared."""
    threads = int(recipe.runtime.get("threads") or facts.cores)
    for count in dict.fromkeys((facts.cores // 2, facts.cores - 1)):
        if 2 <= count < threads:
            yield _variant(recipe, f"threads{count}", {"threads": count}, f"{count} of {facts.cores} threads")
    if recipe.precision == "int8" and recipe.runtime.get("inference_precision") == "bf16":
        yield _variant(recipe, "rest-f32", {"inference_precision": "f32"}, "what is not INT8 computed in fp32")


def _variant(recipe: Recipe, suffix: str, settings: Mapping[str, Any], reason: str) -> Recipe:
    runtime = {**recipe.runtime, **settings}
    return replace(recipe, name=f"{recipe.name}-{suffix}", runtime=runtime, reason=f"{recipe.name} with {reason}.")


def _quantiser(matmul: bool, calibrated: bool) -> dict[str, Any]:
    if not calibrated:
        return {"kind": "dynamic"}
    return {"kind": "static", "preset": "mixed", "model_type": "transformer" if matmul else ""}


def _reason(matmul: bool, calibrated: bool, half: str) -> str:
    if not calibrated:
        return "INT8 weights; activations are quantised as they come, so no calibration data are needed."
    rest = half or "fp32"
    model = "a transformer's scheme, " if matmul else ""
    return f"INT8 by NNCF on the calibration data ({model}asymmetric activations); what stays float runs in {rest}."


def _gain(facts: Facts, half: str) -> str:
    base = facts.peaks.get("fp32")
    return f"{facts.peaks[half] / base:.1f} times" if base else "beside"
