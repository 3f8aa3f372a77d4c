"""The null target: copies a graph as plain data and has numpy run it. Slow, exact, the same everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.contracts import BuildResult, Link
from edgewright.core.errors import ToolError
from edgewright.core.facts import Check, Facts
from edgewright.core.model import Model, Role
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact, EngineSpec, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.graph import surgery
from edgewright.graph.step import apply
from edgewright.targets import checks, emit, probing, profiling
from edgewright.targets.null.ondevice import OPERATORS
from edgewright.targets.preparation import known_options


class Null:
    name = "null"
    precisions = ("fp32",)

    async def probe(self, link: Link) -> Facts:
        return await probing.probe(link, self.name, {})

    async def doctor(self, link: Link) -> tuple[Check, ...]:
        return (await checks.on_device(link, "numpy"),)

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        known_options(options, (), self.name)
        yield Recipe("fp32", self.name, "fp32", reason="The graph as it is, in numpy.")

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        """Writes `folder`/model/<role>.npz: the graph as JSON and its constants. ToolError for an operator that the
        null engine does not have."""
        engines: dict[str, EngineSpec] = {}
        task = spec
        (folder / "model").mkdir(parents=True, exist_ok=True)
        for role, model in models.items():
            result = apply(emit.read_graph(model.path), spec, recipe.graph)[-1]
            task = result.spec
            path = Path("model") / f"{role}.npz"
            np.savez(folder / path, **_as_data(result.model))
            inputs, outputs = emit.ports(result.model, spec, recipe.batch)
            engines[role] = EngineSpec(path.as_posix(), dict(recipe.runtime), inputs, outputs)
        return BuildResult(emit.service(recipe, task, engines), {})

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile:
        return await profiling.profile(artifact, samples, link)


def _as_data(model: Any) -> dict[str, Any]:
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    for node in nodes:
        if node.op_type not in OPERATORS:
            raise ToolError(
                f"The null target has no operator {node.op_type}.", f"It has {', '.join(sorted(OPERATORS))}."
            )
    values = surgery.constants(model)
    graph = {
        "nodes": [_node(node) for node in nodes],
        "inputs": [_port(value) for value in surgery.inputs(model)],
        "outputs": [_port(value) for value in model.graph.output],
        "constants": list(values),
    }
    return {"graph": np.array(json.dumps(graph)), **{f"c{i}": value for i, value in enumerate(values.values())}}


def _node(node: Any) -> dict[str, Any]:
    attributes = {entry.name: _number(surgery.attribute(node, entry.name)) for entry in node.attribute}
    return {
        "name": node.name or node.output[0],
        "type": node.op_type,
        "inputs": list(node.input),
        "outputs": list(node.output),
        "attributes": attributes,
    }


def _number(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else list(value) if hasattr(value, "__iter__") else value


def _port(value: Any) -> dict[str, Any]:
    return {"name": value.name, "dtype": surgery.dtype_of(value).name, "shape": list(surgery.shape_of(value))}
