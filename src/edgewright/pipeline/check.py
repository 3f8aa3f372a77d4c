"""Check: what a candidate really does on the device. Accuracy is paired with the float model's on the
same samples; latency is raced against the baseline in alternating rounds; what ran in which precision
is counted. Every measurement is stored as soon as it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright import tasks
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError, InputError
from edgewright.core.recipe import Artifact
from edgewright.core.record import Record, digest_of
from edgewright.core.task import Dataset
from edgewright.core.verdict import Measurement, MetricResult, Verdict
from edgewright.pipeline import statistics
from edgewright.pipeline.judge import gate, judge, limits
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.place import place
from edgewright.pipeline.predictions import Predictor, sample_paths, truths
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.race import Entrant, race
from edgewright.store.cache import code_version

RACE_SAMPLES = 16


@dataclass(frozen=True)
class _Metrics(Record):
    metrics: Mapping[str, MetricResult]


@dataclass(frozen=True)
class _Race(Record):
    measurements: Mapping[str, Measurement]


@dataclass(frozen=True)
class Checked(Record):
    """A candidate's verdict, and the baseline as it was measured in the same rounds."""

    verdict: Verdict
    baseline: Measurement


async def check(
    project: Project, loaded: Loaded, data: Data, artifact: Artifact, baseline: Artifact, link: Link, progress: Progress
) -> Checked:
    """Measures one candidate against the baseline and judges it by the goal."""
    allowed = allowed_drops(project, loaded, data)
    progress.stage("check", f"accuracy of {artifact.recipe.name}")
    metrics = await accuracy(project, loaded, data, artifact, baseline, link, allowed, progress)
    progress.stage("check", f"latency of {artifact.recipe.name}")
    measured = await side_by_side(project, data, artifact, baseline, link, progress)
    verdict = judge(artifact, metrics, measured[artifact.recipe.name], project.config.goal, allowed)
    return Checked(verdict, measured["baseline"])


def allowed_drops(project: Project, loaded: Loaded, data: Data) -> Mapping[str, float]:
    """The metrics that gate, with their limits in points. InputError where one cannot be had."""
    task = tasks.get(loaded.task.kind)
    labelled = data.validation.labelled
    agreed = "cosine" if loaded.task.kind == "tensors" else "agreement"
    known = task.metrics if labelled else (agreed,)
    allowed = limits(project.config.goal, known[0])
    for name in allowed:
        if name not in known:
            if name in task.metrics:
                raise InputError(
                    f"The goal limits {name}, which needs labels, and {data.validation.name} has none.",
                    f"Give labelled validation data, or limit {known[0]} instead.",
                )
            raise InputError(f"The task {task.name} has no metric '{name}'.", f"Known: {', '.join(known)}.")
    return allowed


async def accuracy(
    project: Project,
    loaded: Loaded,
    data: Data,
    artifact: Artifact,
    baseline: Artifact,
    link: Link,
    allowed: Mapping[str, float],
    progress: Progress,
) -> Mapping[str, MetricResult]:
    """Each gated metric with its interval and its paired drop; stops at the first look that decides."""
    dataset = data.validation
    key = digest_of(
        code_version("device", f"tasks/{loaded.task.kind}", "pipeline/check", "pipeline/statistics"),
        artifact.files, baseline.files, dataset.digest, allowed, link.address,
    )  # fmt: skip
    stored = project.store.get("accuracy", key, _Metrics)
    if stored:
        return stored.metrics
    labelled = dataset.labelled
    thresholds = "metric" if labelled else "serve"
    own = Predictor(project.store, link, artifact, dataset, thresholds)
    base = Predictor(project.store, link, baseline, dataset, thresholds)
    planned = statistics.looks(len(dataset.samples))
    results: dict[str, MetricResult] = {}
    for number, count in enumerate(planned, start=1):
        reference = await base.first(count, progress)
        predicted = await own.first(count, progress)
        level = statistics.level_per_look(len(planned))
        cut = truths(own.samples[:count], dataset)
        results = {name: _result(loaded, cut, predicted, reference, name, level, number) for name in allowed}
        verdicts = {gate(result, allowed[name])[0] for name, result in results.items()}
        if "undecided" not in verdicts:
            break
    return project.store.put("accuracy", key, _Metrics(results)).metrics


def _result(
    loaded: Loaded, cut: Dataset, predicted: list[Any], reference: list[Any], name: str, level: float, look: int
) -> MetricResult:
    task = tasks.get(loaded.task.kind)
    if cut.labelled:
        own = task.score(cut, predicted, loaded.task, name)
        base = task.score(cut, reference, loaded.task, name)
    else:
        own = task.agreement(cut, predicted, reference, loaded.task)
        base = task.agreement(cut, reference, reference, loaded.task)
    estimate, drop = statistics.paired_drop(base, own, level=level)
    kind = "labels" if cut.labelled else "agreement"
    return MetricResult(name, estimate, kind, dict(own.others), drop, looks=look)


async def side_by_side(
    project: Project, data: Data, artifact: Artifact, baseline: Artifact, link: Link, progress: Progress
) -> Mapping[str, Measurement]:
    """The candidate and the baseline in alternating rounds on the device."""
    paths = sample_paths(data.validation, RACE_SAMPLES)
    key = digest_of(
        code_version("device", "pipeline/race"), artifact.files, baseline.files, [str(p) for p in paths], link.address
    )
    stored = project.store.get("race", key, _Race)
    if stored and artifact.recipe.name in stored.measurements:
        return stored.measurements
    samples = [await place(link, path) for path in paths]
    entrants = [
        Entrant("baseline", await place(link, baseline.folder)),
        Entrant(artifact.recipe.name, await place(link, artifact.folder), simulated=artifact.service.simulated),
    ]
    measured = await race(link, entrants, samples, progress)
    return project.store.put("race", key, _Race(measured)).measurements


async def measure_alone(
    project: Project, data: Data, artifact: Artifact, link: Link, progress: Progress
) -> Measurement:
    """One service by itself, for figures that are not compared with another's."""
    paths = sample_paths(data.validation, RACE_SAMPLES)
    key = digest_of(
        code_version("device", "pipeline/race"), artifact.files, [str(p) for p in paths], link.address, "alone"
    )
    stored = project.store.get("race", key, _Race)
    if stored is None:
        samples = [await place(link, path) for path in paths]
        entrant = Entrant("baseline", await place(link, artifact.folder), simulated=artifact.service.simulated)
        measured = await race(link, [entrant], samples, progress, rounds=4)
        stored = project.store.put("race", key, _Race(measured))
    return stored.measurements["baseline"]


async def sweep(
    project: Project, data: Data, artifact: Artifact, link: Link, progress: Progress, batches: Sequence[int] = (1, 4, 8)
) -> Mapping[int, Measurement]:
    """Latency and throughput by batch. A batch that the artefact cannot run is left out."""
    paths = sample_paths(data.validation, RACE_SAMPLES)
    key = digest_of(
        code_version("device", "pipeline/race"), artifact.files, [str(p) for p in paths], link.address, list(batches)
    )
    stored = project.store.get("sweep", key, _Race)
    if stored is None:
        samples = [await place(link, path) for path in paths]
        folder = await place(link, artifact.folder)
        found: dict[str, Measurement] = {}
        for batch in batches:
            entrant = Entrant(str(batch), folder, batch, artifact.service.simulated)
            try:
                found |= await race(link, [entrant], samples, progress, rounds=3)
            except DeviceError:
                continue
        stored = project.store.put("sweep", key, _Race(found))
    return {int(batch): measurement for batch, measurement in stored.measurements.items()}
