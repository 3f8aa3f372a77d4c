"""A fleet for people: the rollout while it runs, and tables. Plain lines where there is no terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.table import Table
from rich.text import Text

from edgewright.cli.show import console

if TYPE_CHECKING:
    from edgewright.pipeline.fleet.field import Back, DeviceNow, Planned
    from edgewright.pipeline.fleet.hub import Standing
    from edgewright.pipeline.fleet.ledger import Row

STYLES = {
    "live": "green", "serving": "green", "complete": "green", "rolled back": "green", "failed": "red", "aborted": "red",
    "paused": "yellow", "offline": "yellow", "incomplete": "yellow", "starting": "yellow", "sending": "cyan",
}  # fmt: skip
SETTLED = ("live", "asked", "failed", "offline")
REDRAW_S = 0.1
NAMED = 5
"""Devices that are named in a line that stands for many."""


class View(Protocol):
    def tell(self, standing: Standing, row: Row | None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None: ...


def live() -> View:
    return Drawing() if sys.stderr.isatty() else Lines()


class Lines:
    """One line for each device that has come to an end, and one for each wave."""

    def __init__(self) -> None:
        self._passed = 0

    def tell(self, standing: Standing, row: Row | None) -> None:
        if row is not None and row.state in ("live", "failed", "offline"):
            _say(f"{standing.waves[row.wave].name}: {row.device} {_how(row)}")
        passed = sum(wave.passed for wave in standing.waves)
        if row is None and passed > self._passed:
            _say(f"{standing.waves[passed - 1].name}: passed")
        elif row is None:
            wave = next((wave for wave in standing.waves if not wave.passed), None)
            if wave is not None:
                _say(f"{wave.name}: bakes for {wave.bake_s:g} s")
        self._passed = passed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        return None


class Drawing:
    """A bar for each wave and what was heard last; drawn at most ten times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True)
        self._heard: list[Text] = []
        self._drawn = 0.0

    def tell(self, standing: Standing, row: Row | None) -> None:
        if row is not None and row.state in ("live", "failed", "offline"):
            self._heard = [*self._heard[-4:], Text(f"{row.device} {_how(row)}", STYLES.get(row.state, ""))]
        if row is None or time.monotonic() - self._drawn >= REDRAW_S:
            self._drawn = time.monotonic()
            self._live.update(self._picture(standing), refresh=True)

    def _picture(self, standing: Standing) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar

        table = Table(box=None, pad_edge=False, show_header=False)
        for index, wave in enumerate(standing.waves):
            rows = [row for row in standing.devices if row.wave == index]
            done = sum(row.state in SETTLED for row in rows)
            mark = "passed" if wave.passed else "bakes" if wave.settled else ""
            counts = ", ".join(f"{count} {state}" for state, count in _counts(rows).items())
            bar = ProgressBar(total=max(1, len(rows)), completed=done, width=24)
            table.add_row(Text(wave.name), bar, Text(f"{done}/{len(rows)}"), Text(mark, "green"), Text(counts, "dim"))
        return Group(table, *self._heard)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._live.stop()


def final(standing: Standing) -> None:
    """Every device of a rollout, then how it stands."""
    out = console()
    table = _table("device", "target", "wave", "state", "release", "p95 ms", "× predicted", "gap ms", "sent", "s")
    for row in standing.devices:
        told = row.told
        table.add_row(
            Text(row.device),
            Text(f"{row.target} (simulated)" if told.simulated else row.target),
            Text(standing.waves[row.wave].name),
            Text(row.state, STYLES.get(row.state, "")),
            Text(str(told.number) if told.number else "–"),
            Text(_figure(told.p95_ms)),
            Text(_figure(told.times)),
            Text("–" if told.gap_ms is None else f"{told.gap_ms:.0f}"),
            Text("had it" if told.unchanged else _bytes(told.sent_bytes)),
            Text(f"{told.seconds:.0f}"),
        )
    out.print(table)
    for row in standing.devices:
        if row.told.detail:
            out.print(Text(_clean(f"{row.device}: {row.told.detail}"), STYLES.get(row.state, "")))
    counts = ", ".join(f"{count} {state}" for state, count in standing.counts.items())
    state = standing.rollout.state
    out.print(Text(f"{standing.fleet}: {state} ({counts})", STYLES.get(state, "")))
    if standing.rollout.reason:
        out.print(Text(_clean(standing.rollout.reason)))


def planned(found: Sequence[Planned]) -> None:
    """What would be done: devices with the same steps are told together."""
    out = console()
    alike: dict[tuple[str, str, tuple[str, ...], str], list[str]] = {}
    for plan in found:
        steps = tuple(_of_any(step, plan.address) for step in plan.steps)
        alike.setdefault((plan.wave, plan.target, steps, plan.refused), []).append(plan.device)
    for (wave, target, steps, refused), names in alike.items():
        some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        out.print(Text(f"{wave} · {target} · {some}", "bold"))
        for step in (f"Would not be deployed now: {refused}",) if refused else steps:
            out.print(Text(f"  {_clean(step)}", "yellow" if refused else ""))


def devices(found: Sequence[DeviceNow], standing: Standing | None) -> None:
    """What every device serves, and the newest rollout."""
    out = console()
    table = _table("device", "target", "groups", "state", "release", "before", "")
    for device in found:
        table.add_row(
            Text(device.device),
            Text(device.target),
            Text(", ".join(device.groups)),
            Text(device.state, STYLES.get(device.state, "")),
            Text(f"{device.number}, {device.digest[:12]}" if device.number else "–"),
            Text(device.previous or "–"),
            Text(_clean(" ".join(said for said in (device.reason or device.url, _operator(device)) if said))),
        )
    out.print(table)
    if standing is not None:
        counts = ", ".join(f"{count} {state}" for state, count in standing.counts.items())
        said = f"Newest rollout: {standing.rollout.state} ({counts}). {standing.rollout.reason}"
        out.print(Text(_clean(said), STYLES.get(standing.rollout.state, "")))


def rolled_back(found: Sequence[Back], dry_run: bool) -> None:
    """What a rollback did, or would do."""
    out = console()
    table = _table("device", "state", "release", "")
    for item in found:
        state = f"would be {item.state}" if dry_run else item.state
        release = f"{item.number}, {item.digest[:12]}" if item.number else "–"
        text = Text(_clean(item.detail or item.url))
        table.add_row(Text(item.device), Text(state, STYLES.get(item.state, "")), Text(release), text)
    out.print(table)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        justify: Any = "right" if name in ("p95 ms", "× predicted", "gap ms", "sent", "s") else "left"
        table.add_column(name, justify=justify, no_wrap=name != "", overflow="fold" if name == "" else "ellipsis")
    return table


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.state] = found.get(row.state, 0) + 1
    return found


def _how(row: Row) -> str:
    told = row.told
    if row.state != "live":
        return _clean(f"{row.state}: {told.detail}")
    if told.kept:
        return "still serves it"
    sent = "served it already" if told.unchanged else f"serves release {told.number}, {_bytes(told.sent_bytes)} sent"
    figure = f", p95 {told.times:.2f} times the predicted one" if told.times is not None else ""
    return f"{sent}{figure}{' (simulated)' if figure and told.simulated else ''}"


def _of_any(step: str, address: str) -> str:
    """A step without what differs from device to device."""
    return re.sub(r" to /[^ ]*\.$", " to its folder.", step.replace(address, "the device"))


def _operator(device: DeviceNow) -> str:
    return f"({device.operator} is at work on it)" if device.operator else ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB" if count else "0"


def _clean(text: str) -> str:
    """What devices say reaches no terminal with control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _say(text: str) -> None:
    sys.stderr.write(_clean(text) + "\n")
    sys.stderr.flush()
