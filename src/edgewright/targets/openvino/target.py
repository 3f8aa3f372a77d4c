"""The OpenVINO family: what it offers, builds and finds."""

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
from edgewright.targets.openvino import offers


class OpenVino:
    name = "openvino"
    precisions = ("int8", "bf16", "fp16", "fp32")

    async def probe(self, link: Link) -> Facts:
        """Facts with peaks for every precision that the plugin really executed a matrix product in."""
        hints = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
        return await probing.probe(link, self.name, {kind: {"inference_precision": h} for kind, h in hints.items()})

    async def doctor(self, link: Link) -> tuple[Check, ...]:
        here = checks.packages({"openvino": "2025.4", "nncf": "2.19"}, extra="openvino")
        return (*here, await checks.on_device(link, "openvino", oldest_python=(3, 10)))

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        return offers.offers(model, spec, facts, options, calibrated)

    def tune(self, recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
        return offers.tune(recipe, facts, goal)

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        from edgewright.targets.openvino.build import build

        return build(models, spec, recipe, calibration, folder)

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile:
        return await profiling.profile(artifact, samples, link)
