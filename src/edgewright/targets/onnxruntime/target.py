"""The ONNX Runtime family: what it offers, builds and finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.core.config import GoalConfig
from edgewright.core.contracts import BuildResult, Link
from edgewright.core.facts import Check, Facts
from edgewright.core.model import Model, Role
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.targets import checks, probing, profiling
from edgewright.targets.onnxruntime import offers


class OnnxRuntime:
    name = "onnxruntime"
    precisions = ("int8", "fp32")

    async def probe(self, link: Link) -> Facts:
        return await probing.probe(link, self.name, {"fp32": {}, "int8": {}})

    async def doctor(self, link: Link) -> tuple[Check, ...]:
        here = checks.packages({"onnx": "1.17", "onnxruntime": "1.20", "onnxslim": "0.1.60"})
        return (*here, await checks.on_device(link, "onnxruntime"))

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        return offers.offers(model, spec, facts, options, calibrated)

    def tune(self, recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
        return offers.tune(recipe, facts, goal)

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        from edgewright.targets.onnxruntime.build import build

        return build(models, spec, recipe, calibration, folder)

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile:
        return await profiling.profile(artifact, samples, link)
