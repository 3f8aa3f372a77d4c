"""A recipe's artefact: graph steps, quantisation, one ONNX file per role."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.contracts import BuildResult
from edgewright.core.errors import ConfigError
from edgewright.core.model import Model, Role
from edgewright.core.recipe import EngineSpec, Port, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.graph import surgery
from edgewright.graph.batch import BATCH
from edgewright.graph.step import apply
from edgewright.targets import emit
from edgewright.targets.calibration import Calibration
from edgewright.targets.onnxruntime import quantise

Ports = tuple[Port, ...]


def build(
    models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> BuildResult:
    """Writes `folder`/model/<role>.onnx for each model; the service says what is left to the task."""
    engines: dict[str, EngineSpec] = {}
    quantised: dict[str, int] = {}
    notes: list[str] = []
    task = spec
    for role, model in models.items():
        results = apply(emit.read_graph(model.path), spec, recipe.graph)
        notes += [f"{step.kind}: {result.note}" for step, result in zip(recipe.graph, results, strict=False)]
        graph, task = results[-1].model, results[-1].spec
        inputs, outputs = emit.ports(graph, spec, recipe.batch)
        if recipe.precision in ("int8", "mixed"):
            graph = _quantised(graph, task, recipe, calibration, inputs, outputs)
            for name, count in quantise.counts(graph).items():
                quantised[name] = quantised.get(name, 0) + count
        path = Path("model") / f"{role}.onnx"
        emit.write_graph(graph, folder / path)
        settings = {**recipe.runtime, **({"batch_dimension": BATCH} if _is_open(graph) else {})}
        engines[role] = EngineSpec(path.as_posix(), settings, inputs, outputs)
    return BuildResult(emit.service(recipe, task, engines), quantised, tuple(notes))


def _quantised(
    graph: Any, task: TaskSpec, recipe: Recipe, calibration: Dataset | None, inputs: Ports, outputs: Ports
) -> Any:
    kept = [*recipe.keep_float, *emit.last_weighted(graph, bool(recipe.quantiser.get("float_outputs")))]
    if recipe.quantiser.get("kind") == "dynamic":
        return quantise.dynamic(graph, kept)
    if calibration is None:
        raise ConfigError("INT8 by calibration needs data.", "Give `data: {calibration: …}`.")
    data = Calibration(calibration, task, inputs, outputs, quantise.MOST_SAMPLES)
    return quantise.static(graph, data, recipe.quantiser, kept)


def _is_open(graph: Any) -> bool:
    """Whether the graph leaves its batch to whoever opens it."""
    dims = [value.type.tensor_type.shape.dim for value in surgery.inputs(graph)]
    return any(len(shape) > 0 and shape[0].dim_param == BATCH for shape in dims)
