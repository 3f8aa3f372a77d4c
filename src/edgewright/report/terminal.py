"""The same tables for a terminal, as rich renderables: `Console().print(candidates_table(target))`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from edgewright.core.profile import Finding, Profile
from edgewright.core.verdict import FAIL, PASS, UNDECIDED, Verdict
from edgewright.report import numbers
from edgewright.report.memory import heaviest, peak, weights_bytes
from edgewright.report.model import TargetReport
from edgewright.report.operators import achieved_gflops, by_type, top

VERDICT_STYLE = {PASS: "green", UNDECIDED: "yellow", FAIL: "red"}
SEVERITY_STYLE = {"warning": "yellow", "error": "red"}


def plain_text(value: object, style: str = "") -> Text:
    """Text from a model file or a device: no markup is read in it, and no control character reaches the terminal."""
    return Text("".join(c for c in str(value) if unicodedata.category(c) not in ("Cc", "Cf")), style=style)


def candidates_table(target: TargetReport) -> Table:
    """The baseline and every candidate; the chosen one is marked. Ratios are against the baseline."""
    simulated = " (simulated)" if target.decision.simulated or target.facts.simulated else ""
    base = target.baseline.recipe.name
    table = _table(
        f"{target.name}: baseline {base} and candidates{simulated}",
        ["", "candidate", "verdict", "p50 ms", "p95 ms", "per second", "× baseline", "metric", "drop", "MiB"],
        right=range(3, 10),
    )
    for verdict in target.verdicts():
        mark = "→" if verdict.recipe.name == target.decision.chosen else ""
        style = "bold" if mark else ""
        said = "baseline" if verdict is target.baseline else verdict.verdict
        figures = (plain_text(text) for text in _figures(verdict, verdict is target.baseline))
        table.add_row(
            mark, plain_text(verdict.recipe.name), Text(said, VERDICT_STYLE.get(said, "dim")), *figures, style=style
        )
    return table


def operators_table(profile: Profile, count: int = 15) -> Table:
    """The slowest operators."""
    table = _table(
        f"Slowest operators, {profile.tool} {profile.precision}",
        ["operator", "type", "output", "time", "share", "GFLOP/s", "of roofline", "bound by"],
        right=range(3, 7),
    )
    for o in top(profile, count):
        shape = numbers.shape(o.outputs[0]) if o.outputs else numbers.UNKNOWN
        table.add_row(
            *map(plain_text, (o.name, o.type, shape, numbers.microseconds(o.duration_us), numbers.percent(o.share))),
            *map(plain_text, (numbers.figure(achieved_gflops(o)), numbers.of_roofline(o.efficiency), o.bound)),
        )
    return table


def types_table(profile: Profile, count: int = 15) -> Table:
    """The totals by operator type."""
    table = _table(
        f"Operators by type, {profile.tool} {profile.precision}",
        ["type", "kind", "count", "time", "share", "of roofline"],
        right=range(2, 6),
    )
    for t in by_type(profile)[:count]:
        figures = (
            t.count,
            numbers.microseconds(t.duration_us),
            numbers.percent(t.share),
            numbers.of_roofline(t.efficiency),
        )
        table.add_row(plain_text(t.type), t.kind, *map(plain_text, figures))
    return table


def findings_table(findings: Iterable[Finding]) -> Table:
    """Findings with their remedies, in the order given."""
    table = _table("Findings", ["share", "finding", "remedy"], right=[0])
    for finding in findings:
        style = SEVERITY_STYLE.get(finding.severity, "")
        table.add_row(numbers.percent(finding.share), plain_text(finding.title, style), plain_text(finding.remedy))
    return table


def memory_table(profile: Profile) -> Table:
    """The peak, the weights, and the operators during which most is held."""
    table = _table("Memory during one inference", ["while running", "held in all"], right=[1])
    highest = peak(profile)
    table.add_row("peak", numbers.byte_size(highest.bytes if highest else None), style="bold")
    table.add_row("weights alone", numbers.byte_size(weights_bytes(profile)))
    for owner, size in heaviest(profile):
        table.add_row(plain_text(owner), numbers.byte_size(size))
    return table


def _figures(verdict: Verdict, is_baseline: bool) -> Sequence[str]:
    m, metric = verdict.measurement, verdict.metric
    drop = metric.drop if metric else None
    speed = "1 (base)" if is_baseline else numbers.figure(m.speedup.value) if m and m.speedup else numbers.UNKNOWN
    return (
        numbers.figure(m.p50.value) if m else numbers.UNKNOWN,
        numbers.figure(m.p95.value) if m else numbers.UNKNOWN,
        numbers.figure(m.throughput.value) if m else numbers.UNKNOWN,
        speed,
        f"{metric.name} {numbers.points(metric.estimate.value)}" if metric else numbers.UNKNOWN,
        numbers.signed(drop.value) if drop else numbers.UNKNOWN,
        numbers.figure(verdict.size_bytes / (1 << 20)) if verdict.size_bytes else numbers.UNKNOWN,
    )


def _table(title: str, columns: Sequence[str], right: Iterable[int]) -> Table:
    table = Table(title=plain_text(title, "bold"), title_justify="left")
    aligned = set(right)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in aligned else "left", overflow="fold")
    return table
