"""Run: the whole story for every target: load, profile, plan, build, check, choose, pack, deploy, watch."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from edgewright.core.config import TargetConfig
from edgewright.core.record import Record
from edgewright.core.verdict import Measurement
from edgewright.pipeline.check import Bench, sweep
from edgewright.pipeline.connect import connect
from edgewright.pipeline.ladder import TargetResult, climb
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.profile import Profiled, profile_artifact
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.result import RunResult, TargetSummary, summarise, worst


@dataclass(frozen=True)
class TargetRun(Record):
    """A climbed target with what is shown beside it: the chosen candidate's profile and batch sweeps."""

    found: TargetResult
    chosen_profile: Profiled | None
    sweeps: dict[str, dict[str, Measurement]]


def run(project: Project, progress: Progress, *, deploy: bool = True, lang: str = "en") -> RunResult:
    """Every target of the configuration to its verdict, and (unless told otherwise) to a live service."""
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


async def _run(project: Project, progress: Progress, deploy: bool, lang: str) -> RunResult:
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    for text in (*project.notes, *datasets.notes):
        progress.note(text)
    summaries: list[TargetSummary] = []
    runs: list[TargetRun] = []
    for target in project.config.targets:
        done, service = await _one(project, target, loaded, datasets, deploy, progress)
        runs.append(done)
        summaries.append(summarise(done.found, service))
    folder = project.store.run_folder(project.name)
    result = RunResult(
        run=project.name,
        verdict=worst([s.verdict for s in summaries]),
        targets=tuple(summaries),
        report=str(folder / "report.html"),
        notes=(*project.notes, *loaded.main.hints.notes, *datasets.notes),
    )
    _keep(project, result, runs)
    return result


async def _one(
    project: Project, target: TargetConfig, loaded: Loaded, datasets: Data, deploy: bool, progress: Progress
) -> tuple[TargetRun, dict[str, Any] | None]:
    link = await connect(project, target)
    try:
        found = await climb(project, target, loaded, datasets, link, progress)
        bench = Bench(project, loaded, datasets, found.baseline_artifact, link, progress)
        view, sweeps = None, {}
        chosen = found.chosen
        if chosen is not None:
            view = await profile_artifact(project, loaded, datasets, chosen, link, found.facts, progress)
            progress.stage("benchmark", "batch sweep")
            for name, artifact in (("baseline", found.baseline_artifact), (chosen.recipe.name, chosen)):
                sweeps[name] = {str(b): m for b, m in (await sweep(bench, artifact)).items()}
        return TargetRun(found, view, sweeps), None
    finally:
        await link.close()


def _keep(project: Project, result: RunResult, runs: list[TargetRun]) -> None:
    """What people look at, in `runs/<name>/`."""
    folder = project.store.run_folder(project.name)
    project.store.write(folder / "run.json", json.dumps(result.to_json(), indent=1, ensure_ascii=False))
    for done in runs:
        text = json.dumps(done.found.decision.to_json(), indent=1, ensure_ascii=False)
        project.store.write(folder / done.found.target.name / "decision.json", text)
