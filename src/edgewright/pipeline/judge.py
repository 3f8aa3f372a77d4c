"""Judge: measured figures against the goal. Pure; the same figures always give the same verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgewright.core.config import GoalConfig
from edgewright.core.recipe import Artifact
from edgewright.core.verdict import FAIL, PASS, UNDECIDED, Measurement, MetricResult, Verdict
from edgewright.pipeline.statistics import needed_samples

MIB = 1 << 20
DEFAULT_DROP = {"map50_95": 1.0, "map50": 1.0, "top1": 1.0, "top5": 1.0, "agreement": 5.0, "cosine": 1.0}
"""Points of 100 allowed where the goal names none. 5 points of agreement: boxes near the serving
threshold flip on the smallest change, which costs agreement but no accuracy."""


def limits(goal: GoalConfig, metric: str) -> Mapping[str, float]:
    """The metric drops to gate on: the goal's, or the task's first metric with its default."""
    return goal.max_drop or {metric: DEFAULT_DROP.get(metric, 1.0)}


def gate(result: MetricResult, limit: float) -> tuple[str, str, MetricResult]:
    """Verdict on one metric's paired drop: pass or fail only where the whole interval agrees."""
    drop = result.drop
    if drop is None:
        return PASS, f"{result.name} has no reference to drop from", result
    where = f"{result.name} drops {drop.value:+.2f} points ({drop.low:+.2f} to {drop.high:+.2f}, limit {limit:g})"
    if drop.high <= limit:
        return PASS, where, result
    if drop.low > limit:
        return FAIL, where, result
    needed = needed_samples(drop, limit)
    number = f"about {needed:,} samples would decide" if needed else "no number of samples would decide"
    return UNDECIDED, f"{where}: {drop.n} samples cannot decide it, {number}", replace(result, needed_samples=needed)


def judge(
    artifact: Artifact,
    metrics: Mapping[str, MetricResult],
    measurement: Measurement,
    goal: GoalConfig,
    allowed: Mapping[str, float],
) -> Verdict:
    """One candidate's verdict: the worst of its gates; `reasons` says each in a sentence."""
    found: list[tuple[str, str]] = []
    primary: MetricResult | None = None
    for name, limit in allowed.items():
        verdict, reason, result = gate(metrics[name], limit)
        primary = primary or result
        if verdict == UNDECIDED and goal.undecided == "fallback":
            verdict, reason = FAIL, f"{reason}; the goal says to fall back when undecided"
        elif verdict == UNDECIDED and result.drop is not None and result.drop.value > limit:
            verdict, reason = FAIL, f"{reason}, and the point estimate misses the limit"
        found.append((verdict, reason))
    found += _executed(artifact, measurement)
    found += _speed(measurement, goal)
    found += _resources(artifact, measurement, goal)
    worst = max((verdict for verdict, _ in found), key=(PASS, UNDECIDED, FAIL).index, default=PASS)
    return Verdict(
        recipe=artifact.recipe,
        verdict=worst,
        reasons=tuple(reason for _, reason in found),
        metric=primary,
        measurement=measurement,
        size_bytes=artifact.size_bytes,
        build_seconds=artifact.build_seconds,
    )


def _executed(artifact: Artifact, measurement: Measurement) -> list[tuple[str, str]]:
    """Asked is not done: an INT8 candidate of which the runtime executed nothing in INT8 is none."""
    if artifact.recipe.precision not in ("int8", "mixed"):
        return []
    if not measurement.executed:
        return [(PASS, "what executed in which precision is not known on this device")]
    if measurement.executed.get("int8", 0.0) > 0:
        return []
    did = ", ".join(f"{name} {share:.0%}" for name, share in measurement.executed.items())
    stored_only = artifact.recipe.quantiser.get("kind") == "dynamic"  # its weights are small all the same
    return [(PASS if stored_only else FAIL, f"nothing of it executed in INT8 ({did})")]


def _speed(measurement: Measurement, goal: GoalConfig) -> list[tuple[str, str]]:
    found = []
    if goal.latency_p95_ms is not None:
        p95, limit = measurement.p95, goal.latency_p95_ms
        text = f"p95 is {p95.value:.2f} ms ({p95.low:.2f} to {p95.high:.2f}), limit {limit:g} ms"
        found.append((_against(p95.value, p95.low, p95.high, limit), text))
    if goal.throughput is not None:
        rate = measurement.throughput
        text = f"throughput is {rate.value:.1f}/s ({rate.low:.1f} to {rate.high:.1f}), wanted {goal.throughput:g}/s"
        found.append((_against(-rate.value, -rate.high, -rate.low, -goal.throughput), text))
    return found


def _against(value: float, low: float, high: float, limit: float) -> str:
    if high <= limit:
        return PASS
    return UNDECIDED if value <= limit else FAIL


def _resources(artifact: Artifact, measurement: Measurement, goal: GoalConfig) -> list[tuple[str, str]]:
    found = []
    for name, held, limit in (
        ("size", artifact.size_bytes, goal.size_mb),
        ("memory", measurement.memory_bytes, goal.memory_mb),
    ):
        if limit is not None:
            text = f"{name} is {held / MIB:.1f} MiB, limit {limit:g} MiB"
            found.append((PASS if held <= limit * MIB else FAIL, text))
    return found
