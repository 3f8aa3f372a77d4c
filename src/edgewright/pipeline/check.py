"""Check: what a candidate really does on the device. Accuracy is paired with the float model's on the
same samples; latency is raced against the baseline in alternating rounds; what ran in which precision
is counted. Every measurement is stored as soon as it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgewright import targets, tasks
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError, InputError, ToolError
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record, digest_of
from edgewright.core.task import Dataset, Score
from edgewright.core.verdict import UNDECIDED, Measurement, MetricResult, Verdict
from edgewright.pipeline import statistics
from edgewright.pipeline.build import build
from edgewright.pipeline.judge import gate, judge, limits
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.place import place
from edgewright.pipeline.predictions import Predictor, sample_paths, truths
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.race import ROUNDS, Entrant, race
from edgewright.store.cache import Store, code_version

RACE_SAMPLES = 16
HEAT_ROUNDS = 3


@dataclass(frozen=True)
class _Metrics(Record):
    metrics: Mapping[str, MetricResult]


@dataclass(frozen=True)
class _Race(Record):
    measurements: Mapping[str, Measurement]


@dataclass(frozen=True)
class Bench:
    """One device set up for measuring one model: what every check of a target shares."""

    project: Project
    loaded: Loaded
    data: Data
    baseline: Artifact
    link: Link
    progress: Progress
    scores: dict[tuple[str, int], Score] = field(default_factory=dict)
    """The baseline's scores by metric and number of samples: every candidate is paired with the same one."""

    @property
    def store(self) -> Store:
        return self.project.store

    def race_paths(self) -> list[Path]:
        return sample_paths(self.data.validation, RACE_SAMPLES)

    async def race_samples(self) -> list[str]:
        return [await place(self.link, path) for path in self.race_paths()]

    def race_key(self, *parts: object) -> str:
        code = code_version("device", "pipeline/race")
        return digest_of(code, [str(p) for p in self.race_paths()], self.link.address, *parts)


@dataclass(frozen=True)
class Checked(Record):
    """A candidate's verdict and what it rests on; the baseline as it was measured in the same rounds."""

    artifact: Artifact
    metrics: Mapping[str, MetricResult]
    verdict: Verdict
    baseline: Measurement


async def check(bench: Bench, artifact: Artifact) -> Checked:
    """Measures one candidate against the baseline and judges it by the goal."""
    allowed = allowed_drops(bench.project, bench.loaded, bench.data)
    bench.progress.stage("check", f"accuracy of {artifact.recipe.name}")
    metrics = await accuracy(bench, artifact, allowed)
    bench.progress.stage("check", f"latency of {artifact.recipe.name}")
    measured = await side_by_side(bench, [artifact], rounds=HEAT_ROUNDS)
    return _checked(bench, artifact, metrics, measured, allowed)


async def final(bench: Bench, heats: Sequence[Checked]) -> list[Checked]:
    """All candidates and the baseline once more, in the same rounds: the figures that are compared,
    shown and chosen by. Heats were run minutes apart, on a machine that may have changed in between."""
    if not heats:
        return []
    bench.progress.stage("check", "final race of all candidates")
    allowed = allowed_drops(bench.project, bench.loaded, bench.data)
    measured = await side_by_side(bench, [heat.artifact for heat in heats], rounds=ROUNDS)
    return [_checked(bench, heat.artifact, heat.metrics, measured, allowed) for heat in heats]


def _checked(
    bench: Bench,
    artifact: Artifact,
    metrics: Mapping[str, MetricResult],
    measured: Mapping[str, Measurement],
    allowed: Mapping[str, float],
) -> Checked:
    own, base = measured[artifact.recipe.name], measured[bench.baseline.recipe.name]
    verdict = judge(artifact, metrics, own, bench.project.config.goal, allowed)
    return Checked(artifact, metrics, verdict, base)


def allowed_drops(project: Project, loaded: Loaded, data: Data) -> Mapping[str, float]:
    """The metrics that gate, with their limits in points. InputError where one cannot be had."""
    task = tasks.get(loaded.task.kind)
    agreed = "cosine" if loaded.task.kind == "tensors" else "agreement"
    known = task.metrics if data.validation.labelled else (agreed,)
    allowed = limits(project.config.goal, known[0])
    for name in allowed:
        if name not in known and name in task.metrics:
            raise InputError(
                f"The goal limits {name}, which needs labels, and {data.validation.name} has none.",
                f"Give labelled validation data, or limit {known[0]} instead.",
            )
        if name not in known:
            raise InputError(f"The task {task.name} has no metric '{name}'.", f"Known: {', '.join(known)}.")
    return allowed


async def accuracy(bench: Bench, artifact: Artifact, allowed: Mapping[str, float]) -> Mapping[str, MetricResult]:
    """Each gated metric with its interval and its paired drop; stops at the first look that decides."""
    dataset, kind = bench.data.validation, bench.loaded.task.kind
    code = code_version("device", f"tasks/{kind}", "pipeline/check", "pipeline/statistics", "pipeline/predictions")
    key = digest_of(code, artifact.files, bench.baseline.files, dataset.digest, allowed, bench.link.address)
    stored = bench.store.get("accuracy", key, _Metrics)
    if stored:
        return stored.metrics
    thresholds = "metric" if dataset.labelled else "serve"
    own = Predictor(bench.store, bench.link, artifact, dataset, thresholds)
    base = Predictor(bench.store, bench.link, bench.baseline, dataset, thresholds)
    planned = statistics.looks(len(dataset.samples))
    results: dict[str, MetricResult] = {}
    for number, count in enumerate(planned, start=1):
        reference = await base.first(count, bench.progress)
        predicted = await own.first(count, bench.progress)
        cut = truths(own.samples[:count], dataset)
        level = statistics.level_per_look(len(planned))
        results = {name: _result(bench, cut, predicted, reference, name, level, number) for name in allowed}
        if UNDECIDED not in {gate(result, allowed[name])[0] for name, result in results.items()}:
            break
    return bench.store.put("accuracy", key, _Metrics(results)).metrics


def _result(
    bench: Bench, cut: Dataset, predicted: list[Any], reference: list[Any], name: str, level: float, look: int
) -> MetricResult:
    spec = bench.loaded.task
    task = tasks.get(spec.kind)

    def scored(predictions: list[Any]) -> Score:
        if cut.labelled:
            return task.score(cut, predictions, spec, name)
        return task.agreement(cut, predictions, reference, spec)

    place = (name, len(cut.samples))
    if place not in bench.scores:
        bench.scores[place] = scored(reference)
    base = bench.scores[place]
    own = base if predicted == reference else scored(predicted)
    estimate, drop = statistics.paired_drop(base, own, level=level)
    kind = "labels" if cut.labelled else "agreement"
    return MetricResult(name, estimate, kind, dict(own.others), drop, looks=look)


async def side_by_side(bench: Bench, artifacts: Sequence[Artifact], rounds: int) -> Mapping[str, Measurement]:
    """The baseline and the candidates in alternating rounds on the device, by their recipes' names."""
    key = bench.race_key(bench.baseline.files, [(a.recipe.name, a.files) for a in artifacts], rounds)
    stored = bench.store.get("race", key, _Race)
    if stored is None:
        entrants = [await _entrant(bench, a.recipe.name, a) for a in (bench.baseline, *artifacts)]
        measured = await race(bench.link, entrants, await bench.race_samples(), bench.progress, rounds=rounds)
        stored = bench.store.put("race", key, _Race(measured))
    return stored.measurements


async def measure_alone(bench: Bench, artifact: Artifact) -> Measurement:
    """One service by itself, for figures that are not compared with another's."""
    key = bench.race_key(artifact.files, "alone")
    stored = bench.store.get("race", key, _Race)
    if stored is None:
        entrant = await _entrant(bench, "alone", artifact)
        measured = await race(bench.link, [entrant], await bench.race_samples(), bench.progress, rounds=4)
        stored = bench.store.put("race", key, _Race(measured))
    return stored.measurements["alone"]


async def sweep(bench: Bench, artifact: Artifact, batches: Sequence[int] = (1, 4, 8)) -> Mapping[int, Measurement]:
    """Latency and throughput by batch. A batch that the artefact cannot run is left out."""
    key = bench.race_key(artifact.files, list(batches))
    stored = bench.store.get("sweep", key, _Race)
    if stored is None:
        found: dict[str, Measurement] = {}
        for number, batch in enumerate(batches):
            bench.progress.step(number, len(batches), f"batch {batch}")
            recipe = artifact.recipe
            if batch > 1:
                recipe = _of_batch(recipe, batch)
            try:
                built = build(bench.project, bench.loaded, bench.data, recipe, bench.progress)
                bench.progress.stage("benchmark", recipe.name)
                entrant = replace(await _entrant(bench, str(batch), built), batch=batch)
                found |= await race(bench.link, [entrant], await bench.race_samples(), bench.progress, rounds=3)
            except (DeviceError, InputError, ToolError):
                continue
        stored = bench.store.put("sweep", key, _Race(found))
    return {int(batch): measurement for batch, measurement in stored.measurements.items()}


def _of_batch(recipe: Recipe, batch: int) -> Recipe:
    """Opened at that batch, or built for it where the family's artefacts hold one shape."""
    name = f"{recipe.name}-batch{batch}"
    gears = recipe.toolchain.get("gears")  # several shapes in one artefact: it is opened at any of them
    if getattr(targets.get(recipe.family), "builds_batches", False) and not gears:
        return replace(recipe, name=name, batch=batch)
    return replace(recipe, name=name, runtime={**recipe.runtime, "batch": batch})


async def _entrant(bench: Bench, name: str, artifact: Artifact) -> Entrant:
    return Entrant(name, await place(bench.link, artifact.folder), simulated=artifact.service.simulated)
