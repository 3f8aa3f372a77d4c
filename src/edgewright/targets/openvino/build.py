"""A recipe's artefact: graph steps, conversion, quantisation, IR files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgewright.core.contracts import BuildResult
from edgewright.core.errors import ConfigError
from edgewright.core.model import Model, Role
from edgewright.core.recipe import EngineSpec, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.graph.step import apply
from edgewright.targets import emit
from edgewright.targets.calibration import Calibration
from edgewright.targets.openvino import convert, quantise


def build(
    models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> BuildResult:
    """Writes `folder`/model/<role>.xml and .bin for each model; the service says what is left to the task."""
    engines: dict[str, EngineSpec] = {}
    quantised: dict[str, int] = {}
    notes: list[str] = []
    task = spec
    for role, model in models.items():
        results = apply(emit.read_graph(model.path), spec, recipe.graph)
        notes += [f"{step.kind}: {result.note}" for step, result in zip(recipe.graph, results, strict=False)]
        graph, task = results[-1].model, results[-1].spec
        inputs, outputs = emit.ports(graph, spec, recipe.batch)
        network = convert.convert(graph)
        if recipe.precision in ("int8", "mixed"):
            kept = [*recipe.keep_float, *emit.last_weighted(graph, bool(recipe.quantiser.get("float_outputs")))]
            if recipe.quantiser.get("kind") == "dynamic":
                network = quantise.compress(network, kept)
            else:
                data = Calibration(_present(calibration), task, inputs, outputs, quantise.MOST_SAMPLES)
                network = quantise.quantise(network, data, recipe.quantiser, kept)
            for name, count in quantise.counts(network).items():
                quantised[name] = quantised.get(name, 0) + count
        path = Path("model") / f"{role}.xml"
        convert.save(network, folder / path, halve=recipe.precision in ("fp16", "bf16"))
        engines[role] = EngineSpec(path.as_posix(), dict(recipe.runtime), inputs, outputs)
    return BuildResult(emit.service(recipe, task, engines), quantised, tuple(notes))


def _present(calibration: Dataset | None) -> Dataset:
    if calibration is None:
        raise ConfigError("INT8 by calibration needs data.", "Give `data: {calibration: …}`.")
    return calibration
