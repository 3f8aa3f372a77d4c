"""What a rollout does next. Pure: it is told how every device and wave stands, and says one step.

A wave is begun when the one before it has passed. It passes when all its devices are settled (live, failed or offline),
enough of them are live, and all of those still serve the release after the bake time, which begins anew with a device
that comes back into the wave. Devices of passed waves that were late (offline, or new in the inventory) are begun
whenever they wait, beside the wave that is open, and each has a bake time of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from edgewright.core.record import Record
from edgewright.pipeline.fleet.config import WaveConfig
from edgewright.pipeline.fleet.inventory import Device
from edgewright.pipeline.fleet.selection import parse

WAITING, SENDING, LIVE, ASKED, FAILED, OFFLINE = "waiting", "sending", "live", "asked", "failed", "offline"
STATES = (WAITING, SENDING, LIVE, ASKED, FAILED, OFFLINE)
IN_FLIGHT = (SENDING, ASKED)
REST = "rest"


@dataclass(frozen=True)
class Member(Record):
    """A device in a rollout. `times` is its p95 as a multiple of the predicted one, None where nobody measured;
    `kept` says that it still served the release after the bake time; `since` is the wall time of its state."""

    device: str
    wave: int
    state: str = WAITING
    times: float | None = None
    kept: bool = False
    since: float = 0.0


@dataclass(frozen=True)
class Wave(Record):
    """A wave as the ledger has it. `settled` is the wall time when its bake began; `accepted` says that an operator
    went on although it had not succeeded."""

    name: str
    success_percent: float = 100.0
    p95_times: float | None = None
    errors_max: int = 0
    bake_s: float = 0.0
    settled: float | None = None
    accepted: bool = False
    passed: bool = False


@dataclass(frozen=True)
class Start(Record):
    """Begin these devices now."""

    devices: tuple[str, ...]


@dataclass(frozen=True)
class Ask(Record):
    """Ask these live devices whether they still serve the release."""

    devices: tuple[str, ...]


@dataclass(frozen=True)
class Settle(Record):
    """All devices of the wave are settled: its bake time begins."""

    wave: int


@dataclass(frozen=True)
class Bake(Record):
    """Nothing to do before this wall time."""

    wave: int
    until: float


@dataclass(frozen=True)
class Pass(Record):
    wave: int


@dataclass(frozen=True)
class Wait(Record):
    """Devices are being worked on: what they say comes first."""


@dataclass(frozen=True)
class Pause(Record):
    """No further device is begun until an operator says so. `wave` is the one that did not do."""

    wave: int
    reason: str


@dataclass(frozen=True)
class Finish(Record):
    """Nothing is left that could be done now. `complete` where every device is live."""

    complete: bool


Step = Start | Ask | Settle | Bake | Pass | Wait | Pause | Finish


def waves_of(devices: Sequence[Device], configs: Sequence[WaveConfig]) -> tuple[tuple[Wave, tuple[str, ...]], ...]:
    """Every wave with the names of its devices; each device is in exactly one. Those that no wave selects make a last
    one, with the conditions of the one before. Waves without devices stay, so that late ones find theirs."""
    left = list(devices)
    found: list[tuple[Wave, tuple[str, ...]]] = []
    for config in configs:
        selection = parse(config.select)
        fitting = [device for device in left if selection.fits(device.words)]
        if config.size is not None:
            fitting = fitting[: config.size]
        if config.percent is not None:
            fitting = fitting[: math.ceil(len(fitting) * config.percent / 100)]
        taken = {device.name for device in fitting}
        left = [device for device in left if device.name not in taken]
        found.append((_wave(config), tuple(device.name for device in fitting)))
    if left:
        last = configs[-1] if configs else WaveConfig(name=REST)
        name = next(n for n in (REST, *(f"{REST}-{i}" for i in range(99))) if n not in {c.name for c in configs})
        found.append((_wave(last.model_copy(update={"name": name})), tuple(device.name for device in left)))
    return tuple(found)


def next_step(waves: Sequence[Wave], members: Iterable[Member], concurrency: int, now: float) -> Step:
    """The one thing to do next. `now` is wall time in seconds."""
    by_wave: Mapping[int, list[Member]] = {index: [] for index in range(len(waves))}
    for member in members:
        by_wave[member.wave].append(member)
    current = next((index for index, wave in enumerate(waves) if not wave.passed), len(waves))
    open_now = [member for index in range(min(current + 1, len(waves))) for member in by_wave[index]]
    flying = sum(member.state in IN_FLIGHT for member in open_now)
    for index in range(min(current + 1, len(waves))):
        failed = [member.device for member in by_wave[index] if member.state == FAILED]
        if len(failed) > waves[index].errors_max:
            return Wait() if flying else Pause(index, _too_many(waves[index], failed))
    waiting = [member.device for member in open_now if member.state == WAITING]
    if waiting and flying < concurrency:
        return Start(tuple(waiting[: concurrency - flying]))
    late = [(index, m) for index in range(current) for m in by_wave[index] if _unproven(waves[index], m)]
    baked = [m.device for index, m in late if not 0 <= now - m.since < waves[index].bake_s]
    if baked and flying < concurrency:
        return Ask(tuple(baked[: concurrency - flying]))
    if waiting or any(member.state == SENDING for member in open_now):
        return Wait()
    if current == len(waves):
        if late and not flying:
            return min((Bake(index, m.since + waves[index].bake_s) for index, m in late), key=lambda bake: bake.until)
        return Wait() if flying else Finish(all(member.state == LIVE for member in open_now))
    return _close(current, waves[current], by_wave[current], concurrency, flying, now)


def _unproven(wave: Wave, member: Member) -> bool:
    """A device that went live when its wave had passed, and whose own bake time is not over."""
    return wave.bake_s > 0 and member.state == LIVE and not member.kept


def _close(index: int, wave: Wave, members: Sequence[Member], concurrency: int, flying: int, now: float) -> Step:
    """A wave whose devices are all settled."""
    live = [member for member in members if member.state in (LIVE, ASKED)]
    reason = "" if wave.accepted or not members else _unsuccessful(wave, members, live)
    if reason:
        return Wait() if flying else Pause(index, reason)
    if wave.bake_s and live:
        if wave.settled is None:
            return Settle(index)
        unasked = [member for member in live if member.state == LIVE and not member.kept]
        begun = (wave.settled, *(member.since for member in unasked))  # one that came back bakes, too
        baking = [start for start in begun if 0 <= now - start < wave.bake_s]  # a clock set back ends the wait, too
        if baking:
            return Bake(index, max(baking) + wave.bake_s)
        if unasked and flying < concurrency:
            return Ask(tuple(member.device for member in unasked[: concurrency - flying]))
    return Wait() if flying else Pass(index)


def _unsuccessful(wave: Wave, members: Sequence[Member], live: Sequence[Member]) -> str:
    reached = [member for member in members if member.state != OFFLINE]
    if not reached:
        return f"None of the {len(members)} devices of {wave.name} could be reached."
    share = 100 * len(live) / len(reached)
    if share < wave.success_percent:
        return f"{wave.name}: {share:.0f} % of the devices are updated; {wave.success_percent:g} % were wanted."
    measured = [member.times for member in live if member.times is not None]
    if wave.p95_times is not None and measured and median(measured) > wave.p95_times:
        return (
            f"{wave.name}: p95 on the median device is {median(measured):.2f} times the predicted one; "
            f"at most {wave.p95_times:g} times were wanted."
        )
    return ""


def _too_many(wave: Wave, failed: Sequence[str]) -> str:
    some = ", ".join(failed[:5]) + (" and others" if len(failed) > 5 else "")
    return f"{wave.name}: {len(failed)} failed ({some}); at most {wave.errors_max} may."


def _wave(config: WaveConfig) -> Wave:
    return Wave(config.name, config.success.percent, config.success.p95_times, config.errors.max, config.bake_s)
