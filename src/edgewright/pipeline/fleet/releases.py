"""Releases of a fleet: for each kind of device a sealed bundle, and how fast it was predicted to be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.core.config import TargetConfig
from edgewright.core.errors import InputError, PromiseError
from edgewright.core.record import Record, digest_of
from edgewright.pipeline.bundle import Bundle, read_bundle
from edgewright.pipeline.connect import connect
from edgewright.pipeline.fleet.config import ReleaseSource
from edgewright.pipeline.fleet.fleet import Fleet, beside
from edgewright.pipeline.ladder import climb
from edgewright.pipeline.lessons import lessons_of, with_lessons
from edgewright.pipeline.load import data, load
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project, open_project
from edgewright.pipeline.ship import seal


@dataclass(frozen=True)
class FleetRelease(Record):
    """What one kind of device gets. `p95_ms` is the predicted one, None where nobody predicted."""

    target: str
    bundle: Bundle
    p95_ms: float | None = None


def releases(fleet: Fleet, progress: Progress) -> dict[str, FleetRelease]:
    """By target, for the targets that devices name. What a project's run has measured is found in the store, else it is
    measured now, on the project's own devices. PromiseError where no candidate keeps the project's goal."""
    found = {}
    for name in sorted({device.target for device in fleet.devices}):
        source = fleet.config.release[name]
        if source.bundle is not None:
            bundle = read_bundle(beside(fleet.path, source.bundle))
            found[name] = FleetRelease(name, bundle, source.p95_ms)
        else:
            found[name] = _chosen(fleet, name, source, progress)
    for release in found.values():  # watching a device later needs its bundle
        fleet.store.put("shipped", release.bundle.digest, release.bundle)
    return found


def digest(fleet: Fleet, found: Mapping[str, FleetRelease]) -> str:
    """The sha256 of all that a rollout sends: the same again is the same rollout."""
    return digest_of({name: release.bundle.digest for name, release in found.items()}, dict(fleet.config.serve))


def _chosen(fleet: Fleet, name: str, source: ReleaseSource, progress: Progress) -> FleetRelease:
    """The chosen candidate of a project's target."""
    assert source.project is not None
    path = beside(fleet.path, source.project)
    project = open_project(str(path), target=source.target, home=fleet.store.root)
    if len(project.config.targets) != 1:
        known = ", ".join(target.name for target in project.config.targets)
        raise InputError(f"release.{name}: {path} has several targets.", f"Say which, as `target:` ({known}).")
    return asyncio.run(_sealed(project, project.config.targets[0], name, source, progress))


async def _sealed(
    project: Project, target: TargetConfig, name: str, source: ReleaseSource, progress: Progress
) -> FleetRelease:
    link = await connect(project, target)
    try:
        loaded = load(project, progress)
        datasets = data(project, loaded, progress)
        climbed = await climb(project, target, loaded, datasets, link, progress)
        found = with_lessons(climbed, lessons_of(project, target.name), project.config.watch)
        if found.chosen is None:
            nearest = (
                f"nearest is {found.decision.nearest}, {found.decision.distance}" if found.decision.nearest else ""
            )
            raise PromiseError(f"No candidate for {name} keeps the goal; {nearest}.", "Loosen the goal or the limit.")
        bundle = await seal(project, found.chosen, found.decision, datasets, link, progress)
    finally:
        await link.close()
    verdict = found.verdict_of(found.decision.chosen)
    measured = verdict.measurement.p95.value if verdict is not None and verdict.measurement is not None else None
    return FleetRelease(name, bundle, source.p95_ms or measured)
