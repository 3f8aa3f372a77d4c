"""The field verbs: pack, deploy, watch and learn, on top of a run's stored stages.

Each opens the project as `run` does; what `run` has done is found in the store and not done again.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import InputError, PromiseError
from edgewright.core.record import Record
from edgewright.core.verdict import Incident, Reading
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.check import Bench
from edgewright.pipeline.connect import connect
from edgewright.pipeline.deploy import DeployPlan, Release
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.ladder import TargetResult, climb
from edgewright.pipeline.learn import Lesson, cooling, open_incident, race_in_the_field, reconsider
from edgewright.pipeline.lessons import keep_lesson, lessons_of, with_lessons
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.run import telemetry_of
from edgewright.pipeline.ship import plan_ship, seal, ship, shipped
from edgewright.pipeline.watch import watch as readings_of

RECENT = 5
"""Readings that say how the live service fares now."""


@dataclass(frozen=True)
class Packed(Record):
    """A sealed bundle per target."""

    bundles: dict[str, Bundle]


@dataclass(frozen=True)
class Deployed(Record):
    """What serves now on each target's device, or (dry) what would be done."""

    releases: tuple[Release, ...] = ()
    plans: tuple[DeployPlan, ...] = ()


@dataclass(frozen=True)
class Watched(Record):
    """What was read while watching, newest last."""

    target: str
    readings: tuple[Reading, ...]
    incidents: tuple[Incident, ...]


@dataclass(frozen=True)
class Learned(Record):
    """One lesson per target."""

    lessons: tuple[Lesson, ...]


@dataclass(frozen=True)
class _Story:
    """What the verbs find in the store, for one target."""

    loaded: Loaded
    datasets: Data
    found: TargetResult


def pack(project: Project, progress: Progress) -> Packed:
    """The chosen artefact of every target, sealed. PromiseError where none keeps the goal."""

    async def work() -> dict[str, Bundle]:
        bundles = {}
        for target in project.config.targets:
            async with _Open(project, target) as link:
                story = await _story(project, target, link, progress)
                bundles[target.name] = await _sealed(project, story, link, progress)
        return bundles

    return Packed(asyncio.run(work()))


def deploy(project: Project, progress: Progress, *, dry_run: bool = False, take_over: bool = False) -> Deployed:
    """The chosen artefact of every target made live; with `dry_run`, what that would do; `take_over` breaks another
    operator's lease."""

    async def work() -> Deployed:
        releases, plans = [], []
        for target in project.config.targets:
            async with _Open(project, target) as link:
                story = await _story(project, target, link, progress)
                bundle = await _sealed(project, story, link, progress)
                if dry_run:
                    plans.append(await plan_ship(project, target, bundle, link))
                else:
                    releases.append(await ship(project, target, bundle, link, progress, take_over=take_over))
        return Deployed(tuple(releases), tuple(plans))

    return asyncio.run(work())


def watch(
    project: Project,
    progress: Progress,
    *,
    for_s: float | None = None,
    tell: Callable[[Reading | Incident], None] | None = None,
) -> tuple[Watched, ...]:
    """Readings and incidents of every target's live service, for `for_s` seconds (default `watch.for_s`)."""

    async def one(target: TargetConfig) -> Watched:
        seen: list[Reading] = []
        incidents: list[Incident] = []
        async with _Open(project, target) as link:
            bundle = await _live_bundle(project, target, link)
            progress.stage("watch", f"{target.name}, release {bundle.digest[:12]}")
            with telemetry_of(project) as telemetry:
                async for event in readings_of(link, target.name, bundle, project.config.watch, telemetry, for_s=for_s):
                    if isinstance(event, Incident):
                        incidents.append(event)
                    else:
                        seen.append(event)
                    if tell:
                        tell(event)
        return Watched(target.name, tuple(seen), tuple(incidents))

    async def work() -> list[Watched]:
        return list(await asyncio.gather(*(one(target) for target in project.config.targets)))

    return tuple(asyncio.run(work()))


def learn(project: Project, progress: Progress, *, dry_run: bool = False) -> Learned:
    """Answers each target's newest open incident: a better candidate goes live, or none is better. With `dry_run`
    the candidates are raced and the lesson is drawn, and nothing is changed or remembered."""

    async def work() -> list[Lesson]:
        lessons = []
        for target in project.config.targets:
            async with _Open(project, target) as link:
                lessons.append(await _learn(project, target, link, progress, dry_run))
        return lessons

    return Learned(tuple(asyncio.run(work())))


async def _learn(project: Project, target: TargetConfig, link: Link, progress: Progress, dry_run: bool) -> Lesson:
    digest, current = await _serving(target, link)
    kept = lessons_of(project, target.name)
    with telemetry_of(project) as telemetry:
        incident = open_incident(telemetry.incidents(target.name), kept, digest)
    if incident is None:
        return Lesson(
            target.name, "nothing to learn", f"{current} keeps its promises on {target.name}.", was=current, now=current
        )
    wait = cooling(kept)
    if wait > 0:
        text = f"The service changed a short while ago; the next change waits {wait:.0f} s."
        return Lesson(target.name, "cooling down", text, was=current, now=current)
    story = await _story(project, target, link, progress)
    progress.stage("learn", incident.sentence)
    bench = Bench(project, story.loaded, story.datasets, story.found.baseline_artifact, link, progress)
    live = await _live_p95(project, target, link)
    field = await race_in_the_field(bench, story.found)
    lesson = replace(reconsider(story.found, incident, current, field, project.config.goal, live), wall=time.time())
    if dry_run:
        return replace(lesson, outcome="would be redeployed") if lesson.outcome == "redeployed" else lesson
    if lesson.outcome == "redeployed" and lesson.decision is not None:
        better = story.found.artifacts[lesson.now]
        bundle = await seal(project, better, lesson.decision, story.datasets, link, progress)
        await ship(project, target, bundle, link, progress)
    keep_lesson(project, lesson)
    return lesson


async def _story(project: Project, target: TargetConfig, link: Link, progress: Progress) -> _Story:
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    found = await climb(project, target, loaded, datasets, link, progress)
    return _Story(loaded, datasets, with_lessons(found, lessons_of(project, target.name), project.config.watch))


async def _sealed(project: Project, story: _Story, link: Link, progress: Progress) -> Bundle:
    found = story.found
    if found.chosen is None:
        nearest = f"nearest is {found.decision.nearest}, {found.decision.distance}" if found.decision.nearest else ""
        raise PromiseError(
            f"No candidate for {found.target.name} keeps the goal; {nearest}.", "Loosen the goal or the limit."
        )
    return await seal(project, found.chosen, found.decision, story.datasets, link, progress)


async def _serving(target: TargetConfig, link: Link) -> tuple[str, str]:
    """The live release's digest and the name of its recipe. InputError where nothing serves."""
    status = await operate(link, "status", {"runtimes": []})
    current = status.get("current") or {}
    if not status.get("running") or not current.get("digest"):
        raise InputError(f"Nothing is being served on {target.name}.", "Deploy first: `edgewright run`.")
    path = f"{link.root}/releases/{current['name']}/decision.json"
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "decision.json"
        await link.get(path, local)
        return str(current["digest"]), str(json.loads(local.read_text(encoding="utf-8"))["chosen"])


async def _live_p95(project: Project, target: TargetConfig, link: Link) -> float:
    """The median p95 (ms) of what the live service has done since it was read last; 0 where that is nothing."""
    bundle = await _live_bundle(project, target, link)
    with telemetry_of(project) as telemetry:
        fetched = [e async for e in readings_of(link, target.name, bundle, project.config.watch, telemetry, for_s=0)]
    seen = [event.p95 for event in fetched if isinstance(event, Reading) and event.count][-RECENT:]
    return median(seen) if seen else 0.0


async def _live_bundle(project: Project, target: TargetConfig, link: Link) -> Bundle:
    """The bundle of the live release: its reference is what drift is measured against."""
    digest, _ = await _serving(target, link)
    bundle = shipped(project, digest)
    if bundle is None:
        raise InputError(
            f"What {target.name} serves ({digest[:12]}) was not deployed out of {project.store.root}.",
            "Deploy it again: `edgewright run`.",
        )
    return bundle


class _Open:
    """`async with _Open(project, target) as link`."""

    def __init__(self, project: Project, target: TargetConfig) -> None:
        self._project, self._target = project, target

    async def __aenter__(self) -> Link:
        self._link = await connect(self._project, self._target)
        return self._link

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()
