"""The Ascend family: what it finds, offers, builds and reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.config import GoalConfig
from edgewright.core.contracts import BuildResult, Link
from edgewright.core.errors import ToolError
from edgewright.core.facts import Check, Facts
from edgewright.core.model import Model, ModelSpec, Role
from edgewright.core.profile import Profile
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.task import Dataset, TaskSpec
from edgewright.targets import profiling

if TYPE_CHECKING:
    from edgewright.core.command import CommandReview


class Cann:
    name = "cann"
    precisions = ("int8", "mixed", "fp16", "fp32")
    always = ("fp16", "fp32")
    baseline = "onnxruntime"
    builds_batches = True
    handover_places = ("host", "toolkit", "cann", "machine", "simulated", "reported")

    async def environment(self, link: Link, options: Mapping[str, Any]) -> dict[str, str]:
        """The variables that `set_env.sh` and the driver would set on the device; {} where there is no CANN."""
        from edgewright.targets.cann import toolkit

        return await toolkit.environment(link, options)

    async def probe(self, link: Link) -> Facts:
        from edgewright.targets.cann import probe

        return await probe.probe(link)

    async def doctor(self, link: Link) -> tuple[Check, ...]:
        from edgewright.targets.cann import doctor

        return await doctor.doctor(link)

    def offers(
        self, model: Model, spec: TaskSpec, facts: Facts, options: Mapping[str, Any], calibrated: bool
    ) -> Iterator[Recipe]:
        from edgewright.targets.cann import offers

        return offers.offers(model, spec, facts, options, calibrated)

    def tune(self, recipe: Recipe, facts: Facts, goal: GoalConfig) -> Iterator[Recipe]:
        from edgewright.targets.cann import offers

        return offers.tune(recipe, facts, goal)

    def build(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> BuildResult:
        raise ToolError("An .om is built where the CANN toolkit is.", "Call build_on with a link to that machine.")

    async def build_on(
        self,
        host: Link,
        models: Mapping[Role, Model],
        spec: TaskSpec,
        recipe: Recipe,
        calibration: Dataset | None,
        folder: Path,
    ) -> BuildResult:
        from edgewright.targets.cann import build

        return await build.build_on(host, models, spec, recipe, calibration, folder)

    def export_conversion(
        self, models: Mapping[Role, Model], spec: TaskSpec, recipe: Recipe, calibration: Dataset | None, folder: Path
    ) -> tuple[str, ...]:
        from edgewright.targets.cann import handover

        return handover.write(models, spec, recipe, calibration, folder)

    def export_foreign(
        self, spec: ModelSpec, facts: Facts, options: Mapping[str, Any], folder: Path
    ) -> dict[str, tuple[str, ...]] | None:
        """`export_conversion` by recipe for a file that only the vendor's converter reads; None: not such a file."""
        from edgewright.targets.cann import foreign

        return foreign.write(spec, facts, options, folder) if foreign.is_foreign(spec) else None

    def write_handover(self, out: Path, project: str, lines: Sequence[str]) -> None:
        from edgewright.targets.cann import handover

        handover.write_script(out, project, lines)

    def is_converted(self, place: Path) -> bool:
        return any(place.rglob("*.om"))

    def import_conversion(self, folder: Path, recipe: Recipe, into: Path) -> BuildResult:
        from edgewright.targets.cann import handover

        return handover.read(folder, recipe, into)

    async def profile(self, artifact: Artifact, samples: Dataset, link: Link) -> Profile:
        return await profiling.profile(artifact, samples, link)

    def read_profile(self, path: Path) -> tuple[Profile, ...] | None:
        from edgewright.targets.cann import captures

        return captures.read(path)

    def check_command(self, text: str) -> CommandReview:
        from edgewright.targets.cann import atc_command

        return atc_command.review(text)
