"""What is asked of a fleet beside a rollout: plans, the state of every device, the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import EdgewrightError, InputError, RejectedRelease
from edgewright.core.record import Record
from edgewright.pipeline.device_program import Leased
from edgewright.pipeline.fleet import devices as acts
from edgewright.pipeline.fleet.fleet import Fleet
from edgewright.pipeline.fleet.inventory import Device
from edgewright.pipeline.fleet.ledger import Ledger, Row
from edgewright.pipeline.fleet.releases import FleetRelease
from edgewright.pipeline.fleet.rollout import FAILED, OFFLINE, waves_of
from edgewright.pipeline.rollback import Replayed, RolledBack, replay_golden
from edgewright.pipeline.rollback import roll_back as roll_back_one
from edgewright.pipeline.status import Log, log_of

ROLLED_BACK, LEFT = "rolled back", "left as it is"
BEGAN, DONE = "An operator began to roll it back", "Rolled back"
"""How the ledger's notes of a rollback begin."""


@dataclass(frozen=True)
class Planned(Record):
    """What a deployment would do to one device; `refused` says why it would not, "" where it would."""

    device: str
    target: str
    address: str
    wave: str
    release: str
    steps: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class DeviceNow(Record):
    """One device by its own word. `state` is serving, starting, stopped, empty or offline; `number` and `digest` are of
    the current release, `previous` is the name of the one before, "" where there is none. `reason` says why it is not
    as it was told to be (it went back by itself, its last change failed), `operator` who is at work on it now."""

    device: str
    target: str
    address: str
    groups: tuple[str, ...]
    state: str
    number: int = 0
    digest: str = ""
    previous: str = ""
    url: str = ""
    reason: str = ""
    operator: str = ""


@dataclass(frozen=True)
class Back(Record):
    """What a rollback did to one device."""

    device: str
    state: str
    number: int = 0
    digest: str = ""
    url: str = ""
    detail: str = ""


def plans(fleet: Fleet, found: Mapping[str, FleetRelease]) -> tuple[Planned, ...]:
    """What a rollout from the start would do, by wave. Changes nothing but for the installers on the devices."""

    async def one(device: Device) -> tuple[str, ...]:
        return (await acts.plan(fleet, device, found[device.target])).steps

    answers = asyncio.run(acts.each(fleet.devices, one, fleet.config.rollout.concurrency))
    planned = []
    for wave, names in waves_of(fleet.devices, fleet.config.rollout.waves):
        for name in names:
            device, answer = fleet.device(name), answers[name]
            digest = found[device.target].bundle.digest
            steps, refused = ((), str(answer)) if isinstance(answer, EdgewrightError) else (answer, "")
            planned.append(Planned(name, device.target, _plain(device), wave.name, digest, steps, refused))
    return tuple(planned)


def statuses(fleet: Fleet) -> tuple[DeviceNow, ...]:
    """Every device of the fleet, asked now. Changes nothing but for the installers on the devices."""

    async def one(device: Device) -> DeviceNow:
        return _now(device, await acts.asked(fleet, device, acts.status))

    answers = asyncio.run(acts.each(fleet.devices, one, fleet.config.rollout.concurrency))
    return tuple(_found(device, answers[device.name]) for device in fleet.devices)


def roll_back(fleet: Fleet, *, dry_run: bool = False) -> tuple[Back, ...]:
    """Every device of the fleet back to its release before. One that has none before is left as it is. The ledger notes
    each device when it begins and as it ends, and those count as failed in the newest rollout. InputError where a hub
    is at work."""
    with Ledger(fleet.ledger) as ledger, ledger.hub():

        async def one(device: Device) -> Back:
            note = _Note(None if dry_run else ledger, device.name)
            try:
                done = await _one_back(fleet, device, note, dry_run)
            except EdgewrightError as error:
                note.refused(error)
                raise
            if isinstance(done, str):
                return Back(device.name, LEFT, detail=done)
            note.done(done.number)
            detail = " ".join(said for said in (done.recovered, note.missing) if said)
            return Back(device.name, ROLLED_BACK, done.number, done.digest, done.url, detail)

        answers = asyncio.run(acts.each(fleet.devices, one, fleet.config.rollout.concurrency))
        return tuple(_back(device, answers[device.name]) for device in fleet.devices)


async def _one_back(fleet: Fleet, device: Device, note: _Note, dry_run: bool) -> RolledBack | str:
    """One device on its release before, or why it is left as it is. What it serves is asked once, however often it must
    be tried: after an answer that was lost, it serves the release before already, and its `previous` is the bad one."""
    first: dict[str, Any] = {}

    async def back(link: Link) -> RolledBack | str:
        if not first:
            first.update(await acts.status(link))
        if not first.get("previous"):
            return "There is no release before on it."
        leave = str((first.get("current") or {}).get("name") or "")
        if note.left and note.left != leave:
            return f"It was rolled back from {note.left} already; what it should serve instead can be deployed."
        note.begun(leave)
        return await roll_back_one(device.name, link, leave=leave, dry_run=dry_run)

    return await acts.asked(fleet, device, back)


class _Note:
    """What the ledger's newest rollout has of a device that is rolled back: failed as soon as that begins, because
    nobody may be there any more when it ends. One that had failed before keeps its reason. `left` is the release that
    an earlier rollback was to leave: run again, because it was interrupted, it does not bring that one back to the
    devices that it had come to. A ledger that cannot be written stops no rollback; `missing` says so."""

    def __init__(self, ledger: Ledger | None, device: str) -> None:
        self._ledger, self._device, self._attempts, self.missing = ledger, device, 0, ""
        self._rollout, self._leave = 0, ""
        self._row: Row | None = None
        rollout = ledger.newest() if ledger else None
        row = ledger.row(rollout.id, device) if ledger and rollout else None
        ours = bool(row and row.state == FAILED and row.told.detail.startswith((BEGAN, DONE)))
        self.left = row.told.replaced if row and ours else ""
        if rollout and row and (ours or row.state != FAILED):
            self._rollout, self._row = rollout.id, row

    def begun(self, leave: str) -> None:
        self._leave = leave
        if not self._attempts:
            self._put(FAILED, f"{BEGAN}; how that ended is not known.")
        self._attempts += 1

    def done(self, number: int) -> None:
        self._put(FAILED, f"{DONE} to release {number} by an operator.")

    def refused(self, error: EdgewrightError) -> None:
        """It ended with an error. The device is as it was, for sure, where it refused; but another operator may have
        come after a first attempt whose answer was lost."""
        if isinstance(error, RejectedRelease) or (isinstance(error, Leased) and self._attempts == 1):
            self._put("", "")
        elif self._attempts:
            self._put(FAILED, f"{BEGAN}: {error}")

    def _put(self, state: str, detail: str) -> None:
        if self._ledger is None or self._row is None:
            return
        told = replace(self._row.told, detail=detail, replaced=self._leave, kept=False) if state else self._row.told
        try:
            self._ledger.move(self._rollout, {self._device: (state or self._row.state, told)})
            self.missing = ""
        except EdgewrightError as error:
            self.missing = f"The fleet's ledger does not have it: {error}"


def logs(fleet: Fleet, lines: int) -> tuple[Log, ...]:
    """The end of each service's log, of the devices that are in reach and have one. InputError where none has."""

    async def one(device: Device) -> Log | None:
        return await acts.asked(fleet, device, lambda link: log_of(device.name, link, lines))

    answers = asyncio.run(acts.each(fleet.devices, one, fleet.config.rollout.concurrency))
    found = tuple(
        answer if isinstance(answer, Log) else Log(name, (str(answer),))
        for name, answer in answers.items()
        if answer is not None
    )
    if not found:
        raise InputError("No service has written a log on these devices.", "Deploy one with `edgewright deploy`.")
    return found


def exec_golden(fleet: Fleet) -> tuple[tuple[Replayed, ...], dict[str, str]]:
    """Each live release against its own golden samples, on its device, now; and what the devices that could not do it
    said, by name. Changes nothing."""

    async def one(device: Device) -> Replayed:
        return await acts.asked(fleet, device, lambda link: replay_golden(device.name, link))

    answers = asyncio.run(acts.each(fleet.devices, one, fleet.config.rollout.concurrency))
    done = tuple(answer for answer in answers.values() if isinstance(answer, Replayed))
    return done, {name: str(answer) for name, answer in answers.items() if not isinstance(answer, Replayed)}


def _back(device: Device, answer: Back | EdgewrightError) -> Back:
    if not isinstance(answer, EdgewrightError):
        return answer
    return Back(device.name, FAILED if isinstance(answer, RejectedRelease) else OFFLINE, detail=str(answer))


def _found(device: Device, answer: DeviceNow | EdgewrightError) -> DeviceNow:
    if not isinstance(answer, EdgewrightError):
        return answer
    return DeviceNow(device.name, device.target, _plain(device), device.groups, OFFLINE, reason=str(answer))


def _now(device: Device, answer: Mapping[str, Any]) -> DeviceNow:
    current, previous = answer.get("current") or {}, answer.get("previous") or {}
    back, failed = acts.reverted(answer), str(answer.get("reason") or "")[:500]
    running = "serving" if answer.get("health") else "starting" if answer.get("running") else "stopped"
    return DeviceNow(
        device=device.name,
        target=device.target,
        address=_plain(device),
        groups=device.groups,
        state=running if current else "empty",
        number=int(current.get("number") or 0),
        digest=str(current.get("digest") or ""),
        previous=str(previous.get("name") or ""),
        url=str(answer.get("url") or ""),
        reason=" ".join(said for said in (f"It {back}" if back else "", failed) if said),
        operator=str(answer.get("operator") or "")[:200],
    )


def _plain(device: Device) -> str:
    return device.address.partition("?")[0]
