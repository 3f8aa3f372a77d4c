"""Tables for the terminal."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.table import Table

from edgewright.core.profile import Profile
from edgewright.report import RunReport
from edgewright.report.terminal import candidates_table, findings_table, memory_table, operators_table, types_table


def shown(table: Table) -> str:
    console = Console(width=160, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_candidates_mark_the_chosen_and_name_the_base(run: RunReport) -> None:
    text = shown(candidates_table(run.targets[0]))
    (line,) = [line for line in text.splitlines() if "planted-int8" in line]
    assert "→" in line and "30.0" in line and "33.10" in line and "+0.28" in line
    assert "1 (base)" in text and "planted-unbuilt" in text


def test_simulated_is_said_in_the_title(run: RunReport) -> None:
    target = replace(run.targets[0], facts=replace(run.targets[0].facts, simulated=True))
    assert "(simulated)" in shown(candidates_table(target))


def test_operators_types_findings_and_memory_have_their_figures(run: RunReport, profile: Profile) -> None:
    assert "6.00 ms" in shown(operators_table(profile)) and "> 100 %" in shown(operators_table(profile))
    assert "convolution" in shown(types_table(profile))
    assert "Use INT8." in shown(findings_table(run.targets[0].findings))
    assert "5.00 MiB" in shown(memory_table(profile))


def test_names_can_neither_mark_up_nor_steer_the_terminal(profile: Profile) -> None:
    evil = replace(profile.operators[0], name="[red]a[/red]\x1b[2J\x07\u202e", duration_us=9e9)
    text = shown(operators_table(replace(profile, operators=(evil,))))
    assert "[red]a[/red]" in text
    assert not set("\x1b\x07\u202e") & set(text)
