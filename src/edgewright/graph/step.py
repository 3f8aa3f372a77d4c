"""What a step gives, and the run of several steps in order.

A step is a file of `graph/steps/`: its name is the kind, its `apply(model, spec, params)` returns a
StepResult. A step that finds nothing to do says so (`changed=False`) and gives back what it was given; a
step that cannot keep its promise (parity, a valid graph) raises, so nothing wrong is ever written.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.model import Step
from edgewright.core.plugs import did_you_mean
from edgewright.core.task import TaskSpec


@dataclass(frozen=True)
class StepResult:
    """The graph (an onnx.ModelProto) and the task data after a step, whether anything changed, and the effect in a
    sentence ("60 batch norms folded, 285 → 213 nodes")."""

    model: Any
    spec: TaskSpec
    changed: bool
    note: str


Apply = Callable[[Any, TaskSpec, Mapping[str, Any]], StepResult]


def kinds() -> tuple[str, ...]:
    """The names of the steps there are, by listing the folder."""
    folder = Path(__file__).parent / "steps"
    return tuple(sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__"))


def get(kind: str) -> Apply:
    """The step of that kind; ConfigError with the nearest name where there is none."""
    if kind not in kinds():
        raise ConfigError(f"There is no graph step called '{kind}'.", did_you_mean(kind, kinds()))
    step: Apply = importlib.import_module(f"edgewright.graph.steps.{kind}").apply
    return step


def apply(model: Any, spec: TaskSpec, steps: tuple[Step, ...]) -> tuple[StepResult, ...]:
    """Runs the steps one after another on an onnx.ModelProto; `model` itself is left as it is.

    Returns one result per step; the last one holds the final graph and task (no steps: one unchanged result).
    Raises InputError naming the step whose graph the ONNX checker refuses.
    """
    if not steps:
        return (StepResult(model, spec, False, "no graph steps"),)
    results: list[StepResult] = []
    for step in steps:
        result = get(step.kind)(model, spec, step.params)
        if result.changed:
            _check(result.model, step.kind)
        results.append(result)
        model, spec = result.model, result.spec
    return tuple(results)


def _check(model: Any, kind: str) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"The graph step '{kind}' gave a graph that ONNX refuses: {reason}",
            f"Leave '{kind}' out of the recipe's graph steps.",
        ) from error
