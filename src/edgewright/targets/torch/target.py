"""PyTorch eager: what a model's owner runs today, kept as the base that every gain is measured against."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.core.contracts import BuildResult, Link
from edgewright.core.errors import ConfigError, InputError
from edgewright.core.facts import Check, Facts
from edgewright.core.model import Model, Role, TensorSpec
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact, EngineSpec, Port, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.targets import checks, emit, probing, profiling
from edgewright.targets.preparation import known_options

OPTIONS = ("threads",)


class PyTorch:
    name = "torch"
    precisions = ("fp32",)

    async def probe(self, link: Link) -> Facts:
        """Facts without peaks: what matrix products reach is measured by the families one deploys with."""
        return await probing.probe(link, self.name, {})

    async def doctor(self, link: Link) -> tuple[Check, ...]:
        here = checks.packages({"torch": "2.6"}, extra="torch", required=False)
        return (*here, await checks.on_device(link, "torch", oldest_python=(3, 10), required=False))

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        """The program as it is, where the source could write one."""
        forced = known_options(options, OPTIONS, self.name)
        if model.program is not None:
            yield Recipe("fp32", self.name, "fp32", runtime=forced, reason="The model as PyTorch runs it.")

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        """Copies each ExportedProgram to `folder`/model/<role>.pt2; nothing about it is changed."""
        if recipe.precision != "fp32" or recipe.graph:
            raise ConfigError(
                "The family torch runs programs as they are.", "Use a recipe in fp32 without graph steps."
            )
        engines: dict[str, EngineSpec] = {}
        (folder / "model").mkdir(parents=True, exist_ok=True)
        for role, model in models.items():
            if model.program is None:
                raise InputError(f"There is no torch program of '{role}'.", "Use the family onnxruntime for it.")
            path = Path("model") / f"{role}.pt2"
            shutil.copyfile(model.program, folder / path)
            image = len(model.inputs) == 1 and bool(spec.preprocess)
            inputs = tuple(_port(tensor, emit.IMAGE if image else tensor.name) for tensor in model.inputs)
            outputs = tuple(_port(tensor, tensor.name) for tensor in model.outputs)
            settings = {**recipe.runtime, "inputs": _described(inputs), "outputs": _described(outputs)}
            engines[role] = EngineSpec(path.as_posix(), settings, inputs, outputs)
        return BuildResult(emit.service(recipe, spec, engines), {})

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile:
        return await profiling.profile(artifact, samples, link)


def _port(tensor: TensorSpec, role: str) -> Port:
    shape = tuple(n if isinstance(n, int) else (1 if i == 0 else None) for i, n in enumerate(tensor.shape))
    return Port(role, tensor.name, tensor.dtype, shape)


def _described(ports: tuple[Port, ...]) -> list[dict[str, Any]]:
    """A program knows its inputs and outputs by place only: the engine is told their names in order."""
    return [{"name": port.name, "dtype": port.dtype, "shape": list(port.shape)} for port in ports]
