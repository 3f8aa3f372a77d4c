"""Run: the whole story for every target: load, profile, plan, build, check, choose, pack, deploy, watch, report."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.record import Record
from edgewright.core.verdict import Incident, Measurement
from edgewright.pipeline.build import link_tree
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.check import Bench, allowed_drops, sweep
from edgewright.pipeline.connect import connect
from edgewright.pipeline.deploy import Release
from edgewright.pipeline.ladder import TargetResult, climb
from edgewright.pipeline.lessons import lessons_of, with_lessons
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.profile import Profiled, profile_artifact
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.report import compose, target_report, write
from edgewright.pipeline.result import RunResult, summarise, worst
from edgewright.pipeline.ship import seal, ship
from edgewright.pipeline.watch import watch
from edgewright.report.model import ReleaseSummary, RunReport
from edgewright.store.telemetry import Telemetry


@dataclass(frozen=True)
class Live(Record):
    """A service that `run` left running: its release and what the first minutes showed."""

    release: Release
    bundle_bytes: int
    readings: int = 0
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True)
class TargetRun(Record):
    """A climbed target with what is shown beside it: the chosen candidate's profile, batch sweeps, service."""

    found: TargetResult
    chosen_profile: Profiled | None = None
    sweeps: Mapping[str, Mapping[str, Measurement]] | None = None
    live: Live | None = None


def run(project: Project, progress: Progress, *, deploy: bool = True, lang: str = "en") -> RunResult:
    """Every target of the configuration to its verdict, and (unless told otherwise) to a live service.

    A target that keeps no candidate deploys nothing; the result's exit code is then 1.
    """
    return asyncio.run(_run(project, progress, deploy, lang))


def run_targets(project: Project, progress: Progress) -> list[TargetResult]:
    """The targets climbed and decided, nothing deployed or reported: what a benchmark starts from."""

    async def climbed() -> list[TargetResult]:
        loaded = load(project, progress)
        datasets = data(project, loaded, progress)
        found = []
        for target in project.config.targets:
            link = await connect(project, target)
            try:
                found.append(await climb(project, target, loaded, datasets, link, progress))
            finally:
                await link.close()
        return found

    return asyncio.run(climbed())


def telemetry_of(project: Project) -> Telemetry:
    """Readings and incidents of everything this store ever watched."""
    return Telemetry(project.store.root / "telemetry.sqlite")


async def _run(project: Project, progress: Progress, deploy: bool, lang: str) -> RunResult:
    started = time.monotonic()
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    for text in (*project.notes, *datasets.notes):
        progress.note(text)
    runs = [await _one(project, target, loaded, datasets, deploy, progress) for target in project.config.targets]
    summaries = tuple(summarise(done.found, _service(done.live)) for done in runs)
    verdict = worst([s.verdict for s in summaries])
    notes = tuple(dict.fromkeys((*project.notes, *loaded.main.hints.notes, *datasets.notes)))
    folder = project.store.run_folder(project.name)
    progress.stage("report", str(folder))
    targets = [target_report(r.found, r.chosen_profile, r.sweeps or {}, _release(r)) for r in runs]
    limits = allowed_drops(project, loaded, datasets)
    record = compose(project, loaded, datasets, verdict, targets, limits, notes, time.monotonic() - started)
    page = _write_once(project, record, lang)
    result = RunResult(project.name, verdict, summaries, str(page), notes)
    project.store.write(folder / "run.json", json.dumps(result.to_json(), indent=1, ensure_ascii=False))
    for done in runs:
        text = json.dumps(done.found.decision.to_json(), indent=1, ensure_ascii=False)
        project.store.write(folder / done.found.target.name / "decision.json", text)
        _lay_out(done.found, folder / done.found.target.name / "models")
    return result


def _lay_out(found: TargetResult, folder: Path) -> None:
    """Every candidate's model files under names a person would look for: what is not chosen is kept, too."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, artifact in found.artifacts.items():
        link_tree(artifact.folder / "model", folder / name)


async def _one(
    project: Project, target: TargetConfig, loaded: Loaded, datasets: Data, deploy: bool, progress: Progress
) -> TargetRun:
    link = await connect(project, target)
    try:
        found = await climb(project, target, loaded, datasets, link, progress)
        found = with_lessons(found, lessons_of(project, target.name), project.config.watch)
        chosen = found.chosen
        if chosen is None:
            return TargetRun(found)
        view = await profile_artifact(project, loaded, datasets, chosen, link, found.facts, progress)
        view = replace(view, findings=(*view.findings, *chosen.reports))
        bench = Bench(project, loaded, datasets, found.baseline_artifact, link, progress)
        sweeps = {}
        progress.stage("benchmark", "batch sweep")
        for artifact in (found.baseline_artifact, chosen):
            found_by_batch = await sweep(bench, artifact)
            sweeps[artifact.recipe.name] = {str(batch): m for batch, m in found_by_batch.items()}
        live = None
        if deploy:
            bundle = await seal(project, chosen, found.decision, datasets, link, progress)
            live = await _live(project, target, bundle, link, progress)
        return TargetRun(found, view, sweeps, live)
    finally:
        await link.close()


async def _live(project: Project, target: TargetConfig, bundle: Bundle, link: Link, progress: Progress) -> Live:
    """Deploys and watches for `watch.for_s`; an unchanged live release is left alone and not waited for."""
    release = await ship(project, target, bundle, link, progress)
    readings, incidents = 0, []
    progress.stage("watch", release.url)
    with telemetry_of(project) as telemetry:
        for_s = 0.0 if release.unchanged else project.config.watch.for_s
        async for event in watch(link, target.name, bundle, project.config.watch, telemetry, for_s=for_s):
            if isinstance(event, Incident):
                incidents.append(event)
                progress.note(event.sentence)
            else:
                readings += 1
    return Live(release, bundle.size, readings, tuple(incidents))


def _service(live: Live | None) -> dict[str, object] | None:
    """The `service` of the JSON: where it answers, which release, what replaced what."""
    if live is None:
        return None
    release = live.release.to_json()
    return {**release, "readings": live.readings, "incidents": [i.to_json() for i in live.incidents]}


def _release(done: TargetRun) -> ReleaseSummary | None:
    if done.live is None:
        return None
    release = done.live.release
    return ReleaseSummary(
        number=release.number,
        digest=release.digest,
        state="live",
        device=done.found.target.device,
        url=release.url,
        bundle_bytes=done.live.bundle_bytes,
    )


def _write_once(project: Project, record: RunReport, lang: str) -> Path:
    """The report again only where something in it changed: a run that found everything done is quick."""
    folder = project.store.run_folder(project.name)
    page, stored = folder / "report.html", folder / "report.json"
    if page.is_file() and stored.is_file():
        try:
            before = json.loads(stored.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        now = json.loads(json.dumps(record.to_json()))
        same = {k: v for k, v in before.items() if k not in ("created", "seconds")}
        if same == {k: v for k, v in now.items() if k not in ("created", "seconds")} and f'lang="{lang}"' in _head(
            page
        ):
            return page
    return write(project.store, record, folder, lang)


def _head(page: Path) -> str:
    with page.open(encoding="utf-8") as stream:
        return stream.read(400)
