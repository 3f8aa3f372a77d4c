"""The rows of the candidates' table: every figure as text, and its interval beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgewright.core.verdict import Estimate, Verdict
from edgewright.report import numbers
from edgewright.report.language import Said, said, word_or
from edgewright.report.model import TargetReport

Words = Callable[..., str]


@dataclass(frozen=True)
class Figure:
    """A figure as it is read: `text` with its unit, `note` below it in small, `sort` for ordering rows."""

    text: str
    note: str = ""
    sort: float | str = ""


@dataclass(frozen=True)
class Row:
    """One line: the baseline or a candidate. `role` is baseline, chosen, or the verdict; `verdict` what is said."""

    name: str
    precision: str
    role: str
    verdict: str
    latency: Figure
    p95: Figure
    fps: Figure
    speed: Figure
    metric: Figure
    drop: tuple[str, ...]
    size: str
    memory: str
    device_memory: str
    executed: tuple[tuple[str, float], ...]
    build: str
    predicted: Figure
    reasons: tuple[Said, ...]


def rows(target: TargetReport, t: Words, lang: str) -> tuple[Row, ...]:
    """The baseline's row, then one a candidate, in the order they were tried."""
    return tuple(_row(verdict, target, t, lang) for verdict in target.verdicts())


def role_of(verdict: Verdict, target: TargetReport) -> str:
    if verdict.recipe.name == target.baseline.recipe.name:
        return "baseline"
    return "chosen" if verdict.recipe.name == target.decision.chosen else verdict.verdict


def metric_text(name: str, fraction: float) -> str:
    """A metric as the field writes it: a cosine with five decimals, everything else in percent."""
    return f"{fraction:.5f}" if name == "cosine" else f"{fraction * 100:.2f} %"


def metric_name(name: str, lang: str) -> str:
    return word_or(lang, f"metric.{name}", name)


def drop_lines(verdict: Verdict, t: Words) -> tuple[str, ...]:
    """ "drop +0.28" and "(−0.10 … 0.66)"; nothing where there is nothing to drop from."""
    drop = verdict.metric.drop if verdict.metric else None
    if drop is None:
        return ()
    between = numbers.interval(drop, decimals=2)
    return (t("drop", value=numbers.signed(drop.value)), *([f"({between})"] if between else []))


def _row(verdict: Verdict, target: TargetReport, t: Words, lang: str) -> Row:
    role = role_of(verdict, target)
    m = verdict.measurement
    return Row(
        name=verdict.recipe.name,
        precision=verdict.recipe.precision,
        role=role,
        verdict=t("verdict.baseline") if role == "baseline" else t(f"verdict.{verdict.verdict}"),
        latency=_timed(m.p50 if m else None),
        p95=_timed(m.p95 if m else None),
        fps=_figure(m.throughput if m else None),
        speed=_speed(verdict, role),
        metric=_metric(verdict),
        drop=drop_lines(verdict, t),
        size=numbers.byte_size(verdict.size_bytes),
        memory=numbers.byte_size(m.memory_bytes if m else None),
        device_memory=numbers.byte_size(m.device_bytes) if m and m.device_bytes else "",
        executed=tuple(sorted(m.executed.items(), key=lambda item: -item[1])) if m else (),
        build=numbers.seconds(verdict.build_seconds),
        predicted=_predicted(verdict, t),
        reasons=tuple(said(reason, lang) for reason in (*verdict.reasons, verdict.error) if reason),
    )


def _timed(estimate: Estimate | None) -> Figure:
    if estimate is None:
        return Figure(numbers.UNKNOWN)
    return Figure(numbers.milliseconds(estimate.value), numbers.interval(estimate), estimate.value)


def _figure(estimate: Estimate | None) -> Figure:
    if estimate is None:
        return Figure(numbers.UNKNOWN)
    return Figure(numbers.figure(estimate.value), numbers.interval(estimate), estimate.value)


def _speed(verdict: Verdict, role: str) -> Figure:
    speed = verdict.measurement.speedup if verdict.measurement else None
    if role == "baseline" and (speed is None or speed.value == 1):
        return Figure("1", "", 1.0)
    if speed is None:
        return Figure(numbers.UNKNOWN)
    return Figure(f"{numbers.figure(speed.value)} ×", numbers.interval(speed), speed.value)


def _metric(verdict: Verdict) -> Figure:
    metric = verdict.metric
    if metric is None:
        return Figure(numbers.UNKNOWN)
    scale, decimals = (1.0, 5) if metric.name == "cosine" else (100.0, 2)
    note = numbers.interval(metric.estimate, scale, decimals)
    return Figure(metric_text(metric.name, metric.estimate.value), note, metric.estimate.value)


def _predicted(verdict: Verdict, t: Words) -> Figure:
    """The plan's latency, and how far the measured median was from it."""
    predicted, m = verdict.recipe.predicted_latency_ms, verdict.measurement
    if predicted is None or predicted <= 0:
        return Figure(numbers.UNKNOWN)
    off = t("predicted.off", off=f"{numbers.signed((m.p50.value / predicted - 1) * 100, 0)} %") if m else ""
    return Figure(numbers.milliseconds(predicted), off, predicted)
