"""The result of a run as users' programs read it: `edgewright run --json`.

The shape is a promise (tests/pipeline/test_result.py): metrics are fractions of 1, `speedup` is against
`baseline`, times are milliseconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.core.record import Record
from edgewright.core.verdict import FAIL, PASS, UNDECIDED, Verdict
from edgewright.pipeline.ladder import TargetResult


@dataclass(frozen=True)
class CandidateResult(Record):
    """One row: the baseline, or a candidate. Figures are None where it could not be measured."""

    name: str
    precision: str
    shape: tuple[int | None, ...]
    latency_ms: float | None
    latency_interval: tuple[float, float] | None
    latency_p95_ms: float | None
    throughput: float | None
    speedup: float | None
    speedup_interval: tuple[float, float] | None
    metric_name: str
    metric_kind: str
    metric: float | None
    metric_interval: tuple[float, float] | None
    drop_points: float | None
    drop_interval: tuple[float, float] | None
    size_bytes: int
    memory_bytes: int | None
    device_bytes: int | None
    executed_precisions: dict[str, float]
    predicted_latency_ms: float | None
    build_seconds: float
    verdict: str
    reason: str


@dataclass(frozen=True)
class TargetSummary(Record):
    """One target's rows, decision and release."""

    target: str
    family: str
    simulated: bool
    verdict: str
    baseline: CandidateResult
    chosen: str
    candidates: tuple[CandidateResult, ...]
    sentences: tuple[str, ...]
    pareto: tuple[str, ...]
    nearest: str
    distance: str
    service: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunResult(Record):
    """A whole run: the worst verdict of its targets, and where the report lies."""

    run: str
    verdict: str
    targets: tuple[TargetSummary, ...]
    report: str
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where every target keeps its goal (an accepted `undecided` counts), else 1."""
        return 1 if self.verdict == FAIL else 0


def worst(verdicts: Sequence[str]) -> str:
    return max(verdicts, key=(PASS, UNDECIDED, FAIL).index)


def summarise(found: TargetResult, service: dict[str, Any] | None) -> TargetSummary:
    """A target's result in the promised shape."""
    shape = _shape(found)
    return TargetSummary(
        target=found.target.name,
        family=found.target.family,
        simulated=found.decision.simulated or found.facts.simulated,
        verdict=found.decision.verdict,
        baseline=row(found.baseline, shape),
        chosen=found.decision.chosen,
        candidates=tuple(row(verdict, shape) for verdict in found.verdicts),
        sentences=found.decision.sentences,
        pareto=found.decision.pareto,
        nearest=found.decision.nearest,
        distance=found.decision.distance,
        service=service,
    )


def row(verdict: Verdict, shape: tuple[int | None, ...]) -> CandidateResult:
    m, metric = verdict.measurement, verdict.metric
    drop = metric.drop if metric else None
    return CandidateResult(
        name=verdict.recipe.name,
        precision=verdict.recipe.precision,
        shape=(verdict.recipe.batch, *shape[1:]) if shape else (),
        latency_ms=m.p50.value if m else None,
        latency_interval=(m.p50.low, m.p50.high) if m else None,
        latency_p95_ms=m.p95.value if m else None,
        throughput=m.throughput.value if m else None,
        speedup=m.speedup.value if m and m.speedup else (1.0 if m else None),
        speedup_interval=(m.speedup.low, m.speedup.high) if m and m.speedup else None,
        metric_name=metric.name if metric else "",
        metric_kind=metric.kind if metric else "",
        metric=metric.estimate.value if metric else None,
        metric_interval=(metric.estimate.low, metric.estimate.high) if metric else None,
        drop_points=drop.value if drop else None,
        drop_interval=(drop.low, drop.high) if drop else None,
        size_bytes=verdict.size_bytes,
        memory_bytes=m.memory_bytes if m else None,
        device_bytes=m.device_bytes if m else None,
        executed_precisions=dict(m.executed) if m else {},
        predicted_latency_ms=verdict.recipe.predicted_latency_ms,
        build_seconds=verdict.build_seconds,
        verdict=verdict.verdict,
        reason="; ".join(verdict.reasons),
    )


def _shape(found: TargetResult) -> tuple[int | None, ...]:
    """The network's first input, as the baseline's engine takes it."""
    engines = found.baseline_artifact.service.engines
    ports = next(iter(engines.values())).inputs if engines else ()
    return tuple(ports[0].shape) if ports else ()
