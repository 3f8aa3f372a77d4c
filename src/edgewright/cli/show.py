"""What a verb found, for people: tables and sentences on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from edgewright.core.facts import Check
    from edgewright.pipeline.profile import ProfileResult
    from edgewright.pipeline.result import CandidateResult, RunResult, TargetSummary

VERDICT_STYLE = {"pass": "green", "undecided": "yellow", "fail": "red"}
PIPE_WIDTH = 160
"""Characters a table may take where stdout is no terminal: nothing is folded away from a grep."""


def console() -> Console:
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def checks(found: Iterable[Check], healthy: bool) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in found:
        word, style = ("ok", "green") if check.ok else ("missing", "red") if check.required else ("absent", "yellow")
        detail = check.detail if check.ok or not check.remedy else f"{check.detail}\n→ {check.remedy}"
        table.add_row(Text(word, style), Text(check.name), Text(detail))
    out.print(table)
    out.print("Ready." if healthy else "Not ready: see the lines marked missing.", style="bold")


def run(result: RunResult) -> None:
    """The summary table of each target, the decision in sentences, the service, the report."""
    out = console()
    for target in result.targets:
        out.print(_candidates(target))
        for sentence in target.sentences:
            out.print(Text(sentence))
        if target.nearest:
            out.print(Text(f"Nearest: {target.nearest}; {target.distance}."))
        _service(out, target)
        out.print()
    out.print(Text(f"{result.run}: {result.verdict}", VERDICT_STYLE.get(result.verdict, "")))
    if result.report:
        out.print(Text(f"Report: {result.report}"))


def _service(out: Console, target: TargetSummary) -> None:
    if target.service and target.service.get("url"):
        out.print(Text(f"Service of {target.target}: {target.service['url']}", "bold"))


def _candidates(target: TargetSummary) -> Table:
    simulated = " (simulated)" if target.simulated else ""
    table = Table(title=Text(f"{target.target} · {target.family}{simulated}", "bold"), title_justify="left")
    for name in ("", "candidate", "verdict", "p50 ms", "p95 ms", "a second", "× baseline", "metric", "drop", "MiB"):
        table.add_column(name, justify="left" if name in ("", "candidate", "verdict", "metric") else "right")
    table.add_row("", *_row(target.baseline, base=True))
    for candidate in target.candidates:
        chosen = candidate.name == target.chosen
        table.add_row("→" if chosen else "", *_row(candidate), style="bold" if chosen else "")
    return table


def _row(row: CandidateResult, base: bool = False) -> Sequence[Text]:
    speed = "1 (base)" if base else _with_interval(row.speedup, row.speedup_interval, 2)
    metric = f"{row.metric_name} {row.metric:.4f}" if row.metric is not None else row.metric_name or "–"
    verdict = Text("baseline", "dim") if base else Text(row.verdict, VERDICT_STYLE.get(row.verdict, ""))
    figures = (
        _figure(row.latency_ms, 2),
        _figure(row.latency_p95_ms, 2),
        _figure(row.throughput, 1),
        speed,
        metric,
        "–" if base else _with_interval(row.drop_points, row.drop_interval, 2),
        f"{row.size_bytes / (1 << 20):.1f}" if row.size_bytes else "–",
    )
    return (Text(row.name), verdict, *map(Text, figures))


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _with_interval(value: float | None, interval: tuple[float, float] | None, digits: int) -> str:
    if value is None:
        return "–"
    if interval is None or None in interval:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({interval[0]:.{digits}f}–{interval[1]:.{digits}f})"


def profile(result: ProfileResult, count: int = 12) -> None:
    """Each runtime's slowest operators and totals by type, then what the rules found."""
    from edgewright.report.terminal import findings_table, operators_table, types_table

    out = console()
    out.print(
        Text(
            f"{result.model}: {result.parameters / 1e6:.2f} million parameters, {result.flops / 1e9:.2f} GFLOP, "
            f"{result.file_bytes / (1 << 20):.1f} MiB as ONNX fp32"
        )
    )
    for view in result.profiles:
        timed = view.measurement
        if timed is not None:
            p50, p95 = timed.p50.value, timed.p95.value
            out.print(Text(f"{view.recipe}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, {timed.throughput.value:.1f} a second"))
        out.print(types_table(view.profile, count))
        out.print(operators_table(view.profile, count))
    findings = result.profiles[0].findings if result.profiles else ()
    if findings:
        out.print(findings_table(findings))
