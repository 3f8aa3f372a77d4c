"""The charts of a target, each drawn for a wide and for a narrow page so that its text can be read on both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.core.profile import Profile
from edgewright.core.verdict import Estimate, Verdict
from edgewright.report import memory
from edgewright.report.chart import memory as memory_chart
from edgewright.report.chart import pareto, sweep
from edgewright.report.html.candidates import metric_name, role_of
from edgewright.report.model import RunReport, TargetReport

Words = Callable[..., str]
WIDE, NARROW = (560.0, 340.0), (326.0, 280.0)
HALF = (560.0, 230.0)


@dataclass(frozen=True)
class Chart:
    """One chart at two widths; `keys` are (number, name) of points whose name found no place, by width."""

    wide: Markup
    narrow: Markup
    wide_keys: tuple[tuple[int, str], ...] = ()
    narrow_keys: tuple[tuple[int, str], ...] = ()


def pareto_chart(target: TargetReport, report: RunReport, t: Words, lang: str) -> Chart | None:
    """Accuracy against latency; None with fewer than two measured points."""
    measured = [v for v in target.verdicts() if v.measurement and v.metric and math.isfinite(v.metric.estimate.value)]
    names = {v.metric.name for v in measured if v.metric}
    if len(measured) < 2 or len(names) != 1:
        return None
    points = [_point(verdict, target) for verdict in measured]
    name = metric_name(names.pop(), lang)
    about = pareto.Words(
        t("head.pareto"),
        t("pareto.description"),
        t("pareto.latency"),
        t("pareto.metric", metric=name),
        t("pareto.limit"),
    )
    limit = _least_allowed(target.baseline, report)
    return Chart(
        pareto.draw(points, about, *WIDE, limit),
        pareto.draw(points, about, *NARROW, limit),
        tuple(pareto.numbered(points, *WIDE, limit)),
        tuple(pareto.numbered(points, *NARROW, limit)),
    )


def sweep_chart(target: TargetReport, t: Words) -> Chart | None:
    if not any(target.sweeps.values()):
        return None
    said = (t("sweep.title"), t("sweep.batch"), t("sweep.rate"))
    return Chart(sweep.draw(target.sweeps, *said, *WIDE), sweep.draw(target.sweeps, *said, *NARROW))


def memory_view(profile: Profile, t: Words) -> Chart | None:
    """None where memory was measured at fewer than two moments."""
    moments = memory.moments(profile)
    if len(moments) < 2:
        return None
    said = (t("profile.memory"), t("axis.ms"), t("axis.mib"))
    return Chart(memory_chart.draw(moments, *said, *HALF), memory_chart.draw(moments, *said, *NARROW))


def _point(verdict: Verdict, target: TargetReport) -> pareto.Point:
    assert verdict.measurement is not None and verdict.metric is not None
    e = verdict.metric.estimate
    hundredths = Estimate(e.value * 100, e.low * 100, e.high * 100, e.n)
    on_front = verdict.recipe.name in target.decision.pareto
    return pareto.Point(verdict.recipe.name, verdict.measurement.p50, hundredths, role_of(verdict, target), on_front)


def _least_allowed(baseline: Verdict, report: RunReport) -> float | None:
    """The baseline's metric less the drop the goal allows, in points of 100; None where the goal names none."""
    allowed = report.goal.get("max_drop")
    if baseline.metric is None or not isinstance(allowed, dict):
        return None
    points = allowed.get(baseline.metric.name)
    value = baseline.metric.estimate.value * 100
    return value - float(points) if isinstance(points, int | float) and math.isfinite(value) else None
