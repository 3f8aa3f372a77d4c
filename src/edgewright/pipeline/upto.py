"""The story up to one of its stages: `edgewright probe`, `plan`, `build` and `check` stop there.

They are the stages of `run` in the same order over the same store: what they did, a later `run` finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record
from edgewright.core.verdict import Measurement
from edgewright.pipeline.baseline import probe as probe_device
from edgewright.pipeline.build import build as build_recipe
from edgewright.pipeline.connect import connect
from edgewright.pipeline.ladder import TargetResult, climb, offers_of, set_up
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.plan import next_recipe
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.result import RunResult, summarise, worst

T = TypeVar("T")


@dataclass(frozen=True)
class Probed(Record):
    """What was found on each target's device."""

    targets: dict[str, Facts]


@dataclass(frozen=True)
class TargetPlan(Record):
    """The ladder of one target before anything is built: recipes in order, each with its reason."""

    target: str
    family: str
    device: str
    facts: Facts
    baseline: Measurement
    recipes: tuple[Recipe, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Plan(Record):
    model: str
    task: str
    targets: tuple[TargetPlan, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built(Record):
    """Every recipe of every target, built and unmeasured."""

    artifacts: dict[str, tuple[Artifact, ...]]


@dataclass(frozen=True)
class _Opened:
    loaded: Loaded
    datasets: Data


def probe(project: Project, progress: Progress) -> Probed:
    """Measures each target's device; needs no model."""

    async def one(target: TargetConfig, link: Link) -> Facts:
        return await probe_device(project, target.family, link, progress)

    return Probed(asyncio.run(_each(project, one)))


def plan(project: Project, progress: Progress) -> Plan:
    """Measures and profiles the baseline, then says what would be built, in which order, and why."""
    opened = _open(project, progress)

    async def one(target: TargetConfig, link: Link) -> TargetPlan:
        _, evidence, _ = await set_up(project, target, opened.loaded, opened.datasets, link, progress)
        offers = offers_of(target, opened.loaded, opened.datasets, evidence.facts)
        recipes = [r for r in (next_recipe((offer,), (), evidence) for offer in offers) if r is not None]
        return TargetPlan(
            target.name, target.family, target.device, evidence.facts, evidence.baseline, tuple(recipes),
            evidence.findings,
        )  # fmt: skip

    found = asyncio.run(_each(project, one))
    notes = (*project.notes, *opened.loaded.main.hints.notes, *opened.datasets.notes)
    return Plan(project.name, opened.loaded.task.kind, tuple(found.values()), notes)


def build(project: Project, progress: Progress) -> Built:
    """Builds every recipe of every target."""
    opened = _open(project, progress)

    async def one(target: TargetConfig, link: Link) -> tuple[Artifact, ...]:
        facts = await probe_device(project, target.family, link, progress)
        offers = offers_of(target, opened.loaded, opened.datasets, facts)
        return tuple(build_recipe(project, opened.loaded, opened.datasets, offer, progress) for offer in offers)

    return Built(asyncio.run(_each(project, one)))


def check(project: Project, progress: Progress) -> RunResult:
    """Builds, measures and judges every candidate and chooses; deploys nothing."""
    opened = _open(project, progress)

    async def one(target: TargetConfig, link: Link) -> TargetResult:
        return await climb(project, target, opened.loaded, opened.datasets, link, progress)

    summaries = tuple(summarise(found, None) for found in asyncio.run(_each(project, one)).values())
    return RunResult(project.name, worst([s.verdict for s in summaries]), summaries, "", project.notes)


def _open(project: Project, progress: Progress) -> _Opened:
    loaded = load(project, progress)
    return _Opened(loaded, data(project, loaded, progress))


async def _each(project: Project, work: Callable[[TargetConfig, Link], Awaitable[T]]) -> dict[str, T]:
    """The work on every target's device, one after another: two measurements never share a machine."""
    found: dict[str, T] = {}
    for target in project.config.targets:
        link = await connect(project, target)
        try:
            found[target.name] = await work(target, link)
        finally:
            await link.close()
    return found
