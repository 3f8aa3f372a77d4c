"""Everything the template shows, computed: the template only lays it out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.core.operator_kind import KINDS, kind_of
from edgewright.core.profile import Finding, MemoryPoint, Operator, Profile
from edgewright.core.verdict import Measurement
from edgewright.report import numbers, operators
from edgewright.report.chart import timeline
from edgewright.report.csv import operators_csv
from edgewright.report.html.candidates import Row, metric_name, rows
from edgewright.report.html.charts import Chart, memory_view, pareto_chart, sweep_chart
from edgewright.report.html.headline import Headline, headline
from edgewright.report.html.tables import Line, device_lines, goal_lines, model_lines, service_lines
from edgewright.report.language import Said, finding_text, said, word_or, words
from edgewright.report.memory import heaviest, peak, weights_bytes
from edgewright.report.model import RunReport, TargetReport
from edgewright.report.trace import chrome_trace

Words = Callable[..., str]
TOP, MOST = 15, 400
PHASES = ("preprocess", "host_to_device", "compute", "device_to_host", "postprocess", "idle")


@dataclass(frozen=True)
class FindingView:
    """A finding in the page's language; `translated` is False where a team's rule kept its own."""

    finding: Finding
    translated: bool
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Bar:
    """A stacked bar: (class, label, width in percent, value) a segment."""

    name: str
    role: str
    total: str
    segments: tuple[tuple[str, str, float, str], ...]


@dataclass(frozen=True)
class OperatorRow:
    """One operator of the tables."""

    operator: Operator
    kind: str
    time: str
    share: str
    width: float
    rate: str
    efficiency: str


@dataclass(frozen=True)
class ProfileView:
    """One profile, ready to be laid out."""

    name: str
    profile: Profile
    operator_count: int
    total: str
    kinds: Bar
    types: tuple[operators.TypeTotal, ...]
    top: tuple[OperatorRow, ...]
    all: tuple[OperatorRow, ...]
    timeline: Markup | None
    timeline_ticks: tuple[str, ...]
    memory: Chart | None
    peak: MemoryPoint | None
    weights: str
    holders: tuple[tuple[str, int], ...]
    csv_link: str
    trace_link: str


@dataclass(frozen=True)
class TargetView:
    target: TargetReport
    headline: Headline
    rows: tuple[Row, ...]
    metric: str
    pareto: Chart | None
    phases: tuple[Bar, ...]
    phase_names: tuple[tuple[str, str], ...]
    phase_rows: tuple[tuple[str, tuple[str, ...]], ...]
    sentences: tuple[Said, ...]
    sweep: Chart | None
    sweep_rows: tuple[tuple[str, Measurement], ...]
    findings: tuple[FindingView, ...]
    profiles: tuple[ProfileView, ...]
    device: tuple[Line, ...]
    service: tuple[Line, ...]


@dataclass(frozen=True)
class PageView:
    targets: tuple[TargetView, ...]
    calibration: tuple[FindingView, ...]
    kinds: tuple[tuple[str, str], ...]
    has_calibration: bool
    notes: tuple[str, ...]
    model: tuple[Line, ...]
    goal: tuple[Line, ...]


def page_view(report: RunReport, lang: str) -> PageView:
    """The whole page's figures in a language."""
    t = words(lang)
    targets = tuple(_target(target, report, t, lang) for target in report.targets)
    seen = {segment[0] for view in targets for profile in view.profiles for segment in profile.kinds.segments}
    kinds = tuple((kind, t(f"op_kind.{kind}")) for kind in KINDS if f"k-{kind}" in seen)
    calibrated = any(data.use == "calibration" for data in report.data)
    health = tuple(_finding(finding, lang) for finding in report.calibration)
    notes = tuple(dict.fromkeys((*report.model.notes, *report.notes)))
    return PageView(targets, health, kinds, calibrated, notes, model_lines(report, t), goal_lines(report, t, lang))


def _target(target: TargetReport, report: RunReport, t: Words, lang: str) -> TargetView:
    used = [p for p in PHASES if any(p in v.measurement.phases for v in target.verdicts() if v.measurement)]
    return TargetView(
        target=target,
        headline=headline(target, t, lang),
        rows=rows(target, t, lang),
        metric=_metric(target, t, lang),
        pareto=pareto_chart(target, report, t, lang),
        phases=_phase_bars(target, used, t),
        phase_names=tuple((phase, t(f"phase.{phase}")) for phase in used),
        phase_rows=_phase_rows(target, used),
        sentences=tuple(said(sentence, lang) for sentence in target.decision.sentences),
        sweep=sweep_chart(target, t),
        sweep_rows=tuple((name, m) for name, series in target.sweeps.items() for m in series),
        findings=tuple(_finding(finding, lang) for finding in target.findings),
        profiles=tuple(_profile(name, profile, t) for name, profile in target.profiles.items()),
        device=device_lines(target.facts, t),
        service=service_lines(target, t),
    )


def _metric(target: TargetReport, t: Words, lang: str) -> str:
    """The name of the gated metric; agreement is never called by another name."""
    found = [v.metric for v in target.verdicts() if v.metric]
    if not found:
        return t("column.metric")
    agreement = any(metric.kind == "agreement" for metric in found)
    return metric_name("agreement" if agreement else found[0].name, lang)


def _phase_bars(target: TargetReport, phases: Sequence[str], t: Words) -> tuple[Bar, ...]:
    """One bar a candidate, all on one scale: where the median request spends its time."""
    measured = [(v, v.measurement) for v in target.verdicts() if v.measurement and v.measurement.phases]
    longest = max((sum(m.phases.values()) for _, m in measured), default=0.0) or 1.0
    bars = []
    for verdict, m in measured:
        segments = tuple(
            (f"p-{p}", t(f"phase.{p}"), m.phases[p] / longest * 100, numbers.milliseconds(m.phases[p]))
            for p in phases
            if m.phases.get(p, 0.0) > 0
        )
        role = "chosen" if verdict.recipe.name == target.decision.chosen else ""
        bars.append(Bar(verdict.recipe.name, role, numbers.milliseconds(sum(m.phases.values())), segments))
    return tuple(bars)


def _phase_rows(target: TargetReport, phases: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (v.recipe.name, tuple(numbers.figure(v.measurement.phases.get(phase)) for phase in phases))
        for v in target.verdicts()
        if v.measurement and v.measurement.phases
    )


def _finding(finding: Finding, lang: str) -> FindingView:
    said, translated = finding_text(finding, lang)
    columns = tuple(dict.fromkeys(key for row in finding.evidence for key in row))
    names = tuple(word_or(lang, f"evidence.{key}", key) for key in columns)
    table = tuple(tuple(_evidence(key, row.get(key), lang) for key in columns) for row in finding.evidence)
    return FindingView(said, translated, columns, names, table)


def _evidence(key: str, value: object, lang: str) -> str:
    if value is None or value == "":
        return numbers.UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float):
        return word_or(lang, f"{key}.{value}", str(value))
    if isinstance(value, int):
        return numbers.whole(value)
    if key.endswith("_us"):
        return numbers.microseconds(value)
    if key == "efficiency":
        return numbers.of_roofline(value)
    return numbers.percent(value) if key.endswith("share") else numbers.figure(value)


def _profile(name: str, profile: Profile, t: Words) -> ProfileView:
    ran = operators.top(profile, MOST)
    total = sum(operator.duration_us for operator in profile.operators)
    longest = ran[0].duration_us if ran else 1.0
    table = tuple(_operator(operator, total, longest) for operator in ran)
    count = sum(operator.duration_us > 0 for operator in profile.operators)
    return ProfileView(
        name=name,
        profile=profile,
        operator_count=count,
        total=numbers.microseconds(total),
        kinds=_kind_bar(name, profile, t),
        types=operators.by_type(profile)[:20],
        top=table[:TOP],
        all=table[TOP:],
        timeline=timeline.draw(profile, t("profile.timeline"), t("profile.timeline_help"))
        if profile.timeline
        else None,
        timeline_ticks=_timeline_ticks(profile),
        memory=memory_view(profile, t),
        peak=peak(profile),
        weights=numbers.byte_size(weights_bytes(profile)),
        holders=heaviest(profile),
        csv_link=_data_link("text/csv", operators_csv(profile)),
        trace_link=_data_link("application/json", json.dumps(chrome_trace(profile), ensure_ascii=False)),
    )


def _operator(operator: Operator, total: float, longest: float) -> OperatorRow:
    share = operator.duration_us / total if total else 0.0
    return OperatorRow(
        operator=operator,
        kind=kind_of(operator.type),
        time=numbers.microseconds(operator.duration_us),
        share=numbers.percent(share),
        width=operator.duration_us / longest * 100 if longest else 0.0,
        rate=numbers.figure(operators.achieved_gflops(operator)),
        efficiency=numbers.of_roofline(operator.efficiency),
    )


def _kind_bar(name: str, profile: Profile, t: Words) -> Bar:
    kinds = sorted(operators.by_kind(profile), key=lambda kind: -kind.share)
    segments = tuple(
        (
            f"k-{k.kind}",
            t(f"op_kind.{k.kind}"),
            k.share * 100,
            f"{numbers.percent(k.share)} · {numbers.microseconds(k.duration_us)}",
        )
        for k in kinds
    )
    return Bar(name, "", numbers.microseconds(sum(kind.duration_us for kind in kinds)), segments)


def _timeline_ticks(profile: Profile) -> tuple[str, ...]:
    """Five labels from left to right, milliseconds; the page's script rewrites them when zoomed."""
    end = timeline.extent_us(profile) / 1e3
    return tuple(numbers.figure(end * i / 4) for i in range(5)) if end else ()


def _data_link(media_type: str, text: str) -> str:
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return f"data:{media_type};charset=utf-8;base64,{encoded}"
