"""What a verb found, for people: tables and sentences on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from edgewright.core.facts import Check, Facts
    from edgewright.core.verdict import Incident, Reading
    from edgewright.pipeline.deploy import DeployPlan
    from edgewright.pipeline.field import Deployed, Watched
    from edgewright.pipeline.import_profile import ImportResult
    from edgewright.pipeline.profile import ProfileResult
    from edgewright.pipeline.remote_profile import RemoteProfile
    from edgewright.pipeline.result import CandidateResult, RunResult, TargetSummary
    from edgewright.pipeline.rollback import Replayed
    from edgewright.pipeline.status import DeviceStatus, Log
    from edgewright.pipeline.upto import Built, Plan, Probed

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


def imported(result: ImportResult, count: int = 12) -> None:
    """Each capture's operators by type and by time, its phases, what the rules found, and what it cannot tell."""
    from edgewright.report.terminal import findings_table, operators_table, types_table

    out = console()
    for view in result.profiles:
        profile = view.profile
        simulated = " (simulated)" if profile.simulated else ""
        out.print(Text(_printable(f"{view.recipe}{simulated}"), "bold"))
        phases = ", ".join(f"{name} {spent / 1e3:.3g} ms" for name, spent in profile.phases.items())
        out.print(Text(f"{profile.total_us / 1e3:.4g} ms" + (f": {phases}" if phases else "")))
        if profile.operators:
            out.print(types_table(profile, count))
            out.print(operators_table(profile, count))
        if view.findings:
            out.print(findings_table(view.findings))
        for note in profile.notes:
            out.print(Text(_printable(note), "dim"))
        out.print()
    for note in result.notes:
        out.print(Text(note))


def remote(there: RemoteProfile) -> None:
    """What the script measured on the other machine, then its captures."""
    latency = there.results.get("latency_ms")
    if isinstance(latency, dict):
        figures = ", ".join(f"{name} {value:.4g}" for name, value in latency.items() if isinstance(value, (int, float)))
        agrees = "agree" if there.results.get("agrees") is True else "differ"
        said = f"{there.device}, {there.results.get('precision')}, ms: {figures}; outputs {agrees} with the CPU's"
        console().print(Text(_printable(said)))
    imported(there.imported)


def facts(result: Probed) -> None:
    """Each target's device, and what it was measured to be able to do."""
    out = console()
    for name, found in result.targets.items():
        simulated = " (simulated)" if found.simulated else ""
        out.print(Text(f"{name} · {found.family}{simulated}", "bold"))
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for key, value in _facts(found):
            table.add_row(Text(key), Text(value))
        out.print(table)


def _facts(found: Facts) -> Iterable[tuple[str, str]]:
    gib = 1 << 30
    yield "device", f"{found.device}, {found.system} {found.machine}"
    yield "processor", f"{found.processor}, {found.cores} cores, {found.threads} threads"
    yield (
        "memory",
        f"{found.memory / gib:.1f} GiB, {found.bandwidth:.1f} GB/s; disk {found.disk_free / gib:.1f} GiB free",
    )
    yield "instructions", " ".join(found.isa) or "none of note"
    chip = found.accelerator
    if chip.get("chip"):
        held = int(chip.get("memory") or 0)
        more = [f"run mode {chip.get('run_mode')}", *([f"{held / gib:.1f} GiB"] if held else [])]
        yield "accelerator", f"{chip.get('soc_version')}, {', '.join(more)}"
    yield (
        "peaks",
        ", ".join(f"{dtype} {peak:.0f} G{'OP' if dtype == 'int8' else 'FLOP'}/s" for dtype, peak in found.peaks.items())
        or "not measured",
    )
    yield "runtimes", ", ".join(f"{name} {version}" for name, version in found.runtimes.items())


def plan(result: Plan) -> None:
    """The ladder of each target, with what is predicted and why."""
    out = console()
    for target in result.targets:
        title = f"{target.target} · {target.family} · baseline p50 {target.baseline.p50.value:.2f} ms"
        table = Table(title=Text(title, "bold"), title_justify="left")
        for name in ("candidate", "precision", "predicted ms", "why"):
            table.add_column(name, justify="right" if name == "predicted ms" else "left", overflow="fold")
        for recipe in target.recipes:
            predicted = _figure(recipe.predicted_latency_ms, 2)
            table.add_row(*map(Text, (recipe.name, recipe.precision, predicted, recipe.reason)))
        out.print(table)
    for note in result.notes:
        out.print(Text(note, "dim"))


def built(result: Built) -> None:
    """Each target's artefacts: how large, how long, where."""
    out = console()
    for name, artifacts in result.artifacts.items():
        table = Table(title=Text(name, "bold"), title_justify="left")
        for column in ("candidate", "precision", "MiB", "seconds", "folder"):
            table.add_column(column, justify="right" if column in ("MiB", "seconds") else "left", overflow="fold")
        for a in artifacts:
            figures = (f"{a.size_bytes / (1 << 20):.1f}", f"{a.build_seconds:.1f}", str(a.folder))
            table.add_row(*map(Text, (a.recipe.name, a.recipe.precision, *figures)))
        out.print(table)


def devices(found: Sequence[DeviceStatus]) -> None:
    """What each device serves, in lines."""
    out = console()
    for device in found:
        release = device.current or {}
        word, style = (
            ("serving", "green") if device.health else ("starting", "yellow") if device.running else ("stopped", "")
        )
        out.print(Text(f"{device.target} · {device.device}", "bold"), Text(word, style))
        if release:
            digest = str(release.get("digest", ""))[:12]
            signed = release.get("signed") or {}
            whose = f", number {signed.get('number')} signed by {signed.get('by')}" if signed else ""
            out.print(Text(f"  release {release.get('number', '?')}, {digest}{_printable(whose)}"))
        for said in (*((release.get("signed") or {}).get("notes") or ()), device.trust.get("problem")):
            if said:
                out.print(Text(f"  {_printable(str(said))}", "yellow"))
        if device.trust.get("unsigned_allowed"):
            out.print(Text("  takes unsigned releases: nobody is enrolled as a signer"))
        if device.url:
            out.print(Text(f"  {device.url}"))
        if device.programs.get("supervisor"):
            kept = "systemd" if device.manager.startswith("systemd") else "our supervisor"
            out.print(Text(f"  kept alive by {kept}, device programs {_printable(device.programs['supervisor'])}"))
        for note in device.notes:
            out.print(Text(f"  {_printable(note)}", "yellow"))
        if device.operator:
            out.print(Text(f"  {_printable(device.operator)} is at work on it"))
        if device.reverted:
            back = f"went back from {device.reverted.get('from')} by itself: {device.reverted.get('reason')}"
            out.print(Text(f"  {_printable(back)}", "yellow"))
        if device.last and not device.last.get("over"):
            out.print(Text(f"  {_printable(str(device.last.get('said')))}", "yellow"))
        if device.reason:
            out.print(Text(f"  {_printable(device.reason)}", "yellow"))
    if not found:
        out.print("No device has a service of this folder.")


def replayed(found: Sequence[Replayed]) -> None:
    """What the golden samples gave on each device."""
    out = console()
    for device in found:
        wrong = len(device.mismatches)
        times = f", p95 {device.p95_ms:.2f} ms" if device.p95_ms is not None else ""
        said = f"{device.samples - wrong} of {device.samples} golden samples gave the golden answers{times}"
        out.print(Text(f"{device.target}: release {device.number}, {device.digest[:12]}: {said}"))
        for mismatch in device.mismatches:
            out.print(Text(f"  {_printable(mismatch)}", "red"))


def deployed(result: Deployed) -> None:
    """The releases that serve now, or what would be done."""
    out = console()
    for release in result.releases:
        said = (
            "serves already" if release.unchanged else f"replaced {release.replaced}" if release.replaced else "serves"
        )
        out.print(Text(f"{release.target}: release {release.number}, {release.digest[:12]}, {said} at {release.url}"))
        if release.recovered:
            out.print(Text(f"  {_printable(release.recovered)}", "yellow"))
        for path in release.mended:
            out.print(Text(f"  was damaged on the device, and is whole again: {_printable(path)}", "yellow"))
    plans(result.plans)


def plans(found: Iterable[DeployPlan]) -> None:
    out = console()
    for plan in found:
        out.print(Text(f"{plan.target}: would", "bold"))
        for number, step in enumerate(plan.steps, start=1):
            out.print(Text(f"  {number}. {_printable(step)}"))


def event(found: Reading | Incident) -> str:
    """One reading or incident as a line."""
    from edgewright.core.verdict import Incident

    if isinstance(found, Incident):
        return f"INCIDENT {found.sentence}"
    figures = f"p50 {found.p50:.2f} ms, p95 {found.p95:.2f} ms" if found.count else "idle"
    return f"{found.count} answered, {found.errors} failed, {figures}, {found.memory_bytes >> 20} MiB"


def watched(found: Sequence[Watched]) -> None:
    out = console()
    for target in found:
        answered = sum(reading.count for reading in target.readings)
        out.print(Text(f"{target.target}: {len(target.readings)} readings, {answered} requests answered"))
        for incident in target.incidents:
            out.print(Text(f"  incident: {_printable(incident.sentence)}", "red"))


def logs(found: Sequence[Log]) -> None:
    out = console()
    for log in found:
        if len(found) > 1:
            out.print(Text(log.target, "bold"))
        for line in log.lines:
            out.print(Text(_printable(line)), soft_wrap=True)


def _printable(text: str) -> str:
    """What a device wrote, without the control characters that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text)
