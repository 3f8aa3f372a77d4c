"""The ladder of ONNX Runtime recipes, fastest first. Its CPU provider computes no half precision on x86."""

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

FAMILY = "onnxruntime"
OPTIONS = ("threads", "inter_threads", "execution_mode", "graph_optimisation", "spinning")
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
ARM = ("asimd", "neon", "asimddp", "i8mm")


def offers(
    model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
) -> Iterator[Recipe]:
    """INT8, dynamic for graphs of matrix products and else static where it can be calibrated; then FP32."""
    forced = known_options(options, OPTIONS, FAMILY)
    steps = graph_steps(spec, layout="NCHW", batch=Step("open_batch"))
    dynamic = mostly_matmul(model)
    if dynamic or calibrated:
        yield Recipe(
            name="int8",
            family=FAMILY,
            precision="int8",
            graph=steps,
            quantiser={"kind": "dynamic"} if dynamic else _static(facts),
            runtime=forced,
            reason="INT8 weights; activations are quantised as they come, so no calibration data are needed."
            if dynamic
            else "Static INT8 in QDQ form on the calibration data, weights per channel.",
        )
    reason = "The float model with the same graph steps; the rung that always keeps the accuracy."
    yield Recipe(name="fp32", family=FAMILY, precision="fp32", graph=steps, runtime=forced, reason=reason)


def tune(recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
    """Runtime variants of the leader, the most promising first; the built files are shared."""
    threads = int(recipe.runtime.get("threads") or facts.cores)
    for count in dict.fromkeys((facts.cores // 2, facts.cores - 1)):
        if 2 <= count < threads:
            yield _variant(recipe, f"threads{count}", {"threads": count}, f"{count} of {facts.cores} threads")
    if recipe.runtime.get("spinning", True):
        reason = "threads that sleep between operators: slower alone, kinder to what else runs"
        yield _variant(recipe, "no-spin", {"spinning": False}, reason)


def _variant(recipe: Recipe, suffix: str, settings: Mapping[str, Any], reason: str) -> Recipe:
    runtime = {**recipe.runtime, **settings}
    return replace(recipe, name=f"{recipe.name}-{suffix}", runtime=runtime, reason=f"{recipe.name} with {reason}.")


def _static(facts: Facts) -> dict[str, Any]:
    arm = any(flag in facts.isa for flag in ARM)
    saturates = bool(facts.isa) and not arm and not any(flag in facts.isa for flag in VNNI)
    activation = "int8" if arm else "uint8"
    return {"kind": "static", "activation": activation, "reduce_range": saturates, "method": "minmax"}
