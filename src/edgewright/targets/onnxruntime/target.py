"""The ONNX Runtime family: what it offers, builds and finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.core.contracts import BuildResult
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Role
from edgewright.core.recipe import EngineSpec, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.graph.step import apply
from edgewright.targets import emit


class OnnxRuntime:
    name = "onnxruntime"
    precisions = ("int8", "fp32")

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        yield Recipe("onnxruntime-fp32", self.name, "fp32", reason="the float model as it is")

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        engines: dict[str, EngineSpec] = {}
        task = spec
        for role, model in models.items():
            result = apply(emit.read_graph(model.path), spec, recipe.graph)[-1]
            task = result.spec
            path = Path("model") / f"{role}.onnx"
            emit.write_graph(result.model, folder / path)
            inputs, outputs = emit.ports(result.model, spec)
            engines[role] = EngineSpec(path.as_posix(), dict(recipe.runtime), inputs, outputs)
        return BuildResult(emit.service(recipe, task, engines), {})
