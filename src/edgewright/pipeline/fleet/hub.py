"""The hub: carries out a rollout, step by step as `rollout.next_step` says, with every step in the ledger.

It may be killed at any moment. The next one takes up what the ledger has: what was in flight is asked of the devices
themselves, which say what they serve, so that none is changed twice and none is forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.record import Record
from edgewright.pipeline.fleet import devices as acts
from edgewright.pipeline.fleet.devices import Result
from edgewright.pipeline.fleet.fleet import Fleet
from edgewright.pipeline.fleet.ledger import (
    ABORTED,
    COMPLETE,
    INCOMPLETE,
    PAUSED,
    RUNNING,
    UNFINISHED,
    Ledger,
    Rollout,
    Row,
    Told,
)
from edgewright.pipeline.fleet.releases import FleetRelease, digest
from edgewright.pipeline.fleet.rollout import (
    ASKED,
    FAILED,
    LIVE,
    SENDING,
    WAITING,
    Ask,
    Bake,
    Finish,
    Pass,
    Pause,
    Settle,
    Start,
    Wait,
    Wave,
    next_step,
    waves_of,
)

LOOK_S = 0.5
"""How often an operator's wish is looked for while devices are at work."""


@dataclass(frozen=True)
class Standing(Record):
    """A rollout as it stands: what is shown while it runs, and its result."""

    fleet: str
    rollout: Rollout
    waves: tuple[Wave, ...]
    devices: tuple[Row, ...]

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.devices:
            found[row.state] = found.get(row.state, 0) + 1
        return found

    def described(self) -> dict[str, Any]:
        """The answer of `deploy --json`."""
        devices = [
            {
                "device": row.device,
                "target": row.target,
                "wave": self.waves[row.wave].name,
                "state": row.state,
                **row.told.to_json(),
            }
            for row in self.devices
        ]
        waves = [wave.to_json() for wave in self.waves]
        return {
            "fleet": self.fleet, "rollout": self.rollout.to_json(), "counts": self.counts, "waves": waves,
            "devices": devices,
        }  # fmt: skip


Tell = Callable[[Standing, Row | None], None]


def carry_out(
    fleet: Fleet, found: Mapping[str, FleetRelease], *, resume: bool = False, tell: Tell = lambda *_: None
) -> Standing:
    """The releases on all devices of the fleet, or as far as it goes. A rollout of the same releases that is not
    finished goes on; a paused one only with `resume`; one of other releases is superseded. InputError where another hub
    is at work, where there is nothing to resume, and for a rollout without `resume` that is paused, or that an operator
    has asked to pause or abort before a hub was killed."""
    with Ledger(fleet.ledger) as ledger, ledger.hub():
        rollout = _opened(fleet, found, ledger, resume)
        return asyncio.run(_Hub(fleet, found, ledger, rollout, tell).run())


def standing(fleet: Fleet) -> Standing | None:
    """The newest rollout of the fleet as the ledger has it; None where there was none."""
    if not fleet.ledger.is_file():
        return None
    with Ledger(fleet.ledger) as ledger:
        rollout = ledger.newest()
        return _standing(fleet, ledger, rollout.id) if rollout else None


def ask(fleet: Fleet, wanted: str) -> Standing:
    """Asks the hub at work to "pause" or "abort"; where none is at work, does it. InputError where nothing is open."""
    with Ledger(fleet.ledger) as ledger:
        rollout = ledger.newest()
        if rollout is None or rollout.state not in UNFINISHED:
            raise InputError("No rollout of this fleet is open.", "Begin one with `edgewright deploy`.")
        ledger.ask(rollout.id, wanted)
        try:
            with ledger.hub():
                last = ledger.newest()
                if last is not None and last.id == rollout.id and last.state in UNFINISHED:
                    _end_as_wished(ledger, last, wanted)
        except InputError:
            pass  # the hub that is at work sees it
        return _standing(fleet, ledger, rollout.id)


def _end_as_wished(ledger: Ledger, last: Rollout, wanted: str) -> Rollout:
    """The rollout paused or aborted. One that is paused already keeps its reason, and the wave that `--resume` then
    accepts."""
    if wanted == "pause" and last.state == PAUSED:
        ledger.end(last.id, PAUSED, last.reason, last.paused_at)
    else:
        ledger.end(last.id, ABORTED if wanted == "abort" else PAUSED, "An operator asked for it.")
    return ledger.rollout(last.id)


def _standing(fleet: Fleet, ledger: Ledger, number: int) -> Standing:
    return Standing(fleet.name, ledger.rollout(number), ledger.waves(number), ledger.rows(number))


def _opened(fleet: Fleet, found: Mapping[str, FleetRelease], ledger: Ledger, resume: bool) -> Rollout:
    """The rollout to carry out, begun or taken up."""
    release, last = digest(fleet, found), ledger.newest()
    same = last is not None and last.release == release and last.state in UNFINISHED
    if last is not None and same and (last.wanted == "abort" or (last.wanted and not resume)):
        last = _end_as_wished(ledger, last, last.wanted)  # the hub that was to do it was killed before it had
        same = last.state != ABORTED
        if not same and not resume:
            raise InputError(
                f"The rollout of this release is aborted: {last.reason}",
                "Begin it anew with the same command, or deploy a better release.",
            )
    if resume and not same:
        raise InputError("There is no rollout of these releases to resume.", "Begin one: leave --resume out.")
    if last is None or not same:
        waves, rows = _fresh(fleet)
        return ledger.begin(release, waves, rows)
    if last.state == PAUSED and not resume:
        raise InputError(
            f"The rollout of this release is paused: {last.reason}",
            "Go on with --resume (what failed is tried again), end it with --abort, or deploy a better release.",
        )
    _reconcile(fleet, ledger, last.id)
    ledger.reopen(last.id, resume=resume)
    return replace(last, state=RUNNING, reason="", wanted="", paused_at=-1)


def _fresh(fleet: Fleet) -> tuple[list[Wave], list[Row]]:
    planned = waves_of(fleet.devices, fleet.config.rollout.waves)
    of = {name: index for index, (_, names) in enumerate(planned) for name in names}
    return [wave for wave, _ in planned], [Row(d.name, d.target, fleet.place(d), of[d.name]) for d in fleet.devices]


def _reconcile(fleet: Fleet, ledger: Ledger, number: int) -> None:
    """The inventory may have changed: new devices join the wave of theirs, or the last; one that is another begins."""
    waves, rows = _fresh(fleet)
    there = [wave.name for wave in ledger.waves(number)]
    known = {row.device: row for row in ledger.rows(number)}
    joining = []
    for row in rows:
        old = known.get(row.device)
        if old is None:
            name = waves[row.wave].name
            joining.append(replace(row, wave=there.index(name) if name in there else len(there) - 1))
        elif old.place != row.place:
            joining.append(replace(row, wave=old.wave))
    ledger.leave(number, sorted(set(known) - {row.device for row in rows}))
    if joining:
        ledger.join(number, joining)


class _Hub:
    """One process's work on one rollout."""

    def __init__(
        self, fleet: Fleet, found: Mapping[str, FleetRelease], ledger: Ledger, rollout: Rollout, tell: Tell
    ) -> None:
        self._fleet, self._found, self._ledger, self._rollout, self._tell = fleet, found, ledger, rollout, tell
        self._rows = {row.device: row for row in ledger.rows(rollout.id)}
        self._members = {name: row.member() for name, row in self._rows.items()}
        self._devices = {device.name: device for device in fleet.devices}
        self._waves = list(ledger.waves(rollout.id))
        self._at_work: dict[asyncio.Task[Result], str] = {}

    async def run(self) -> Standing:
        try:
            await self._begin_emptied_anew()
            while True:
                await self._collect(0)
                if (wanted := self._ledger.wanted(self._rollout.id)) and await self._halted(wanted):
                    break
                if await self._stepped():
                    break
        finally:
            for task in self._at_work:
                task.cancel()
            await asyncio.gather(*self._at_work, return_exceptions=True)
        return self._standing()

    async def _begin_emptied_anew(self) -> None:
        """A device that is live in a rollout which is taken up may have been set up anew: it has no release any
        more. One that does not answer now is left as it is."""
        live = tuple(self._devices[name] for name, row in self._rows.items() if row.state == LIVE)
        asked = await acts.each(live, lambda d: acts.glance(self._fleet, d), self._fleet.config.rollout.concurrency)
        told = Told(detail="It was set up anew: it has no release any more.")
        empty = [name for name, now in asked.items() if isinstance(now, dict) and now.get("current") is None]
        if empty:
            self._move(dict.fromkeys(empty, (WAITING, told)))

    async def _stepped(self) -> bool:
        """One step; True where it was the last."""
        concurrency = self._fleet.config.rollout.concurrency
        step = next_step(self._waves, self._members.values(), concurrency, time.time())
        if isinstance(step, (Start, Ask)):
            self._begin(step.devices, SENDING if isinstance(step, Start) else ASKED)
        elif isinstance(step, Settle):
            self._put_wave(step.wave, replace(self._waves[step.wave], settled=time.time()))
        elif isinstance(step, Pass):
            self._put_wave(step.wave, replace(self._waves[step.wave], passed=True))
        elif isinstance(step, Bake):
            await asyncio.sleep(max(0.0, min(LOOK_S, step.until - time.time())))
        elif isinstance(step, Wait):
            await self._collect(LOOK_S)
        elif isinstance(step, Pause):
            self._ledger.end(self._rollout.id, PAUSED, step.reason, step.wave)
        elif isinstance(step, Finish):
            self._ledger.end(self._rollout.id, COMPLETE if step.complete else INCOMPLETE)
        return isinstance(step, (Pause, Finish))

    def _begin(self, names: Sequence[str], state: str) -> None:
        """The acts are in the ledger before they begin."""
        begun = {name: self._found[self._devices[name].target] for name in names}
        self._move({
            name: (state, self._rows[name].told if state == ASKED
                   else Told(release.bundle.digest, simulated=release.bundle.simulated))
            for name, release in begun.items()
        })  # fmt: skip
        for name, release in begun.items():
            device = self._devices[name]
            act = (
                acts.still_serves(self._fleet, device, release, self._rows[name].told)
                if state == ASKED
                else acts.send(self._fleet, device, release)
            )
            self._at_work[asyncio.create_task(act)] = name

    async def _collect(self, wait_s: float) -> None:
        """Puts what has ended into the ledger."""
        if not self._at_work:
            return
        done, _ = await asyncio.wait(self._at_work, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        ended = {}
        for task in done:
            row = self._rows[self._at_work.pop(task)]
            error = task.exception()
            if error is not None:  # a bug of ours: it stops one device, not a thousand
                result = Result(FAILED, Told(row.told.release, f"{type(error).__name__}: {error}"))
            else:
                result = task.result()
            ended[row.device] = result.state, result.told
        if ended:
            self._move(ended)

    async def _halted(self, wanted: str) -> bool:
        """An operator's wish: nothing is begun any more, and what is at work comes to its end."""
        while self._at_work:
            await self._collect(LOOK_S)
        wanted = self._ledger.wanted(self._rollout.id) or wanted  # the one that was said last counts
        _end_as_wished(self._ledger, self._rollout, wanted)
        return True

    def _move(self, moved: Mapping[str, tuple[str, Told]]) -> None:
        since = self._ledger.move(self._rollout.id, moved)
        for name, (state, told) in moved.items():
            self._rows[name] = replace(self._rows[name], state=state, told=told, since=since)
            self._members[name] = self._rows[name].member()
        standing = self._standing()
        for name in moved:
            self._tell(standing, self._rows[name])

    def _put_wave(self, index: int, wave: Wave) -> None:
        self._ledger.put_wave(self._rollout.id, index, wave)
        self._waves[index] = wave
        self._tell(self._standing(), None)

    def _standing(self) -> Standing:
        rollout = self._ledger.rollout(self._rollout.id)
        return Standing(self._fleet.name, rollout, tuple(self._waves), tuple(self._rows.values()))
