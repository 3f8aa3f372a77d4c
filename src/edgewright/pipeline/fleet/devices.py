"""What is done to one device of a fleet: each act asks the device first, and may be done again at any time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, DeviceError, EdgewrightError, RejectedRelease
from edgewright.core.record import Record
from edgewright.pipeline.connect import connect_in
from edgewright.pipeline.deploy import DeployPlan, Release, deploy, plan_deploy
from edgewright.pipeline.device_program import Busy, Leased, operate
from edgewright.pipeline.fleet.config import serve_for
from edgewright.pipeline.fleet.fleet import Fleet
from edgewright.pipeline.fleet.inventory import Device
from edgewright.pipeline.fleet.ledger import Told
from edgewright.pipeline.fleet.releases import FleetRelease
from edgewright.pipeline.fleet.rollout import FAILED, LIVE, OFFLINE

LONGEST_PAUSE_S = 300.0
BUSY_S = 1.0
"""The first pause before a device is asked again that another operation is at work on."""
GLANCE_S = 30.0
T = TypeVar("T")


@dataclass(frozen=True)
class Result(Record):
    """How an act on a device ended."""

    state: str
    told: Told


async def send(fleet: Fleet, device: Device, release: FleetRelease) -> Result:
    """The release live on the device: LIVE, FAILED with the reason, or OFFLINE where the last attempt did not reach it,
    or others were at work on it all the while. What can be tried again (a lost connection) is, with growing pauses."""
    began, reached, said = time.monotonic(), False, ""
    rollout, told = fleet.config.rollout, Told()
    serve = serve_for(fleet.config, device, str(fleet.path))
    longest_s = rollout.timeout_s + serve.bake_s

    async def one() -> Release:
        nonlocal reached
        reached = False
        async with asyncio.timeout(longest_s), _link(fleet, device, release.bundle.family) as link:
            reached = True
            target = fleet.target(device, release.bundle.family)
            return await deploy(release.bundle, target, serve, link, store=fleet.store)

    def ended(state: str, detail: str) -> Result:
        return Result(state, replace(told, detail=detail, seconds=time.monotonic() - began))

    for attempt in range(rollout.attempts):
        if attempt:
            await asyncio.sleep(pause(rollout.pause_s, attempt))
        told = Told(release.bundle.digest, attempts=attempt + 1, simulated=release.bundle.simulated)
        try:
            told = _told(await _when_free(one, longest_s), release, told)
            return ended(LIVE, told.detail)
        except (Leased, Busy) as error:  # nothing is wrong with the release: the next run catches the device up
            return ended(OFFLINE, str(error))
        except (RejectedRelease, ConfigError) as error:
            return ended(FAILED, str(error))
        except (EdgewrightError, OSError, TimeoutError) as error:
            said = str(error) or f"It took over {longest_s:g} s."
    return ended(FAILED if reached else OFFLINE, said)


async def _when_free(act: Callable[[], Awaitable[T]], longest_s: float) -> T:
    """What the act gives once no other operation is at work on the device: an installer of ours goes on there when its
    connection is lost, or its hub. Busy where one still is after `longest_s`."""
    until, waits = time.monotonic() + longest_s, 0
    while True:
        try:
            return await act()
        except Busy:
            left, waits = until - time.monotonic(), waits + 1
            if left <= 0:
                raise
            await asyncio.sleep(min(left, pause(BUSY_S, waits)))


async def still_serves(fleet: Fleet, device: Device, release: FleetRelease, told: Told) -> Result:
    """Whether the device still answers with the release after the bake time."""
    said = ""
    for attempt in range(fleet.config.rollout.attempts):
        if attempt:
            await asyncio.sleep(pause(fleet.config.rollout.pause_s, attempt))
        try:
            async with asyncio.timeout(120), _link(fleet, device, "") as link:
                now = await status(link)
            current, health = now.get("current") or {}, now.get("health") or {}
            if current.get("digest") != release.bundle.digest:
                said = f"After the bake time {_changed(now, release)}"
            elif health.get("release") != release.bundle.digest or not health.get("ready"):
                reason = str(now.get("reason") or "")[:500].rstrip(".")
                said = f"After the bake time its service does not answer{f': {reason}' if reason else ''}."
            else:
                return Result(LIVE, replace(told, kept=True))
        except (EdgewrightError, OSError, TimeoutError) as error:
            said = f"After the bake time it is out of reach: {error or 'no answer'}"
    return Result(FAILED, replace(told, detail=said, kept=False))


async def plan(fleet: Fleet, device: Device, release: FleetRelease) -> DeployPlan:
    """What `send` would do. EdgewrightError where the device is out of reach or would refuse."""
    serve = serve_for(fleet.config, device, str(fleet.path))
    async with asyncio.timeout(120), _link(fleet, device, release.bundle.family) as link:
        return await plan_deploy(release.bundle, fleet.target(device, release.bundle.family), serve, link)


async def asked(fleet: Fleet, device: Device, act: Callable[[Link], Awaitable[T]]) -> T:
    """What an act over the device's link gives, tried as often as the fleet says. EdgewrightError else."""
    last: EdgewrightError = DeviceError(f"{device.name} was not asked.", "Ask again.")
    for attempt in range(fleet.config.rollout.attempts):
        if attempt:
            await asyncio.sleep(pause(fleet.config.rollout.pause_s, attempt))
        try:
            async with asyncio.timeout(fleet.config.rollout.timeout_s), _link(fleet, device, "") as link:
                return await act(link)
        except (RejectedRelease, Leased):
            raise
        except EdgewrightError as error:
            last = error
        except (OSError, TimeoutError) as error:
            last = DeviceError(f"{device.name} does not answer: {error or 'it took too long'}.", "Try again.")
    raise last


async def glance(fleet: Fleet, device: Device) -> dict[str, Any]:
    """The device as its installer sees it, asked once and not for long. TimeoutError and what a link raises else."""
    async with asyncio.timeout(GLANCE_S), _link(fleet, device, "") as link:
        return await status(link)


async def status(link: Link) -> dict[str, Any]:
    """The device as its installer sees it."""
    return await operate(link, "status", {"runtimes": []})


def reverted(now: Mapping[str, Any]) -> str:
    """From which release the device went back by itself, and why; "" where it did not, or has another one since."""
    found = now.get("reverted")
    if not isinstance(found, dict):
        return ""
    bad, back = (str(found.get(key))[:100] for key in ("from", "to"))
    reason = str(found.get("reason") or "no reason was noted")[:500].rstrip(".")
    return f"went back from {bad} to {back} by itself: {reason}."


async def each(
    devices: tuple[Device, ...], act: Callable[[Device], Awaitable[T]], concurrency: int
) -> dict[str, T | EdgewrightError]:
    """The act on every device, so many at a time; an error is that device's answer, whatever it is: what one device
    says, or a bug of ours that it brings to light, does not stop the others."""
    slots = asyncio.Semaphore(concurrency)

    async def one(device: Device) -> T | EdgewrightError:
        async with slots:
            try:
                return await act(device)
            except EdgewrightError as error:
                return error
            except (OSError, TimeoutError) as error:
                return DeviceError(f"{device.name} does not answer: {error or 'it took too long'}.", "Try again.")
            except Exception as error:
                said = f"{type(error).__name__}: {str(error)[:300]}"
                return DeviceError(f"{device.name} said what makes no sense: {said}.", "Look at its installer.")

    answers = await asyncio.gather(*(one(device) for device in devices))
    return {device.name: answer for device, answer in zip(devices, answers, strict=True)}


def pause(first_s: float, attempt: int) -> float:
    """Seconds before the attempt (1 = the second try): doubling, and spread, so that devices that failed together do
    not come back together."""
    return float(min(LONGEST_PAUSE_S, first_s * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))


@asynccontextmanager
async def _link(fleet: Fleet, device: Device, family: str) -> AsyncIterator[Link]:
    link = await connect_in(fleet.store, fleet.target(device, family))
    try:
        yield link
    finally:
        with contextlib.suppress(EdgewrightError, OSError):
            await link.close()


def _changed(now: Mapping[str, Any], release: FleetRelease) -> str:
    """Why a device serves another release than the one that it took: an older way back explains nothing."""
    said = reverted(now)
    if said and str(now["reverted"].get("from")).endswith(f"-{release.bundle.digest[:12]}"):
        return f"it serves another release: it {said}"
    if not now.get("current"):
        return "it has no release any more: somebody emptied it."
    operator = str(now.get("operator") or "")[:200]
    return f"it serves another release: {f'{operator} is at work on it' if operator else 'somebody changed it'}."


def _told(done: Release, release: FleetRelease, told: Told) -> Told:
    p95 = done.replay.get("p95_ms")
    return replace(
        told,
        detail=done.recovered,
        number=done.number,
        url=done.url,
        replaced=done.replaced or "",
        unchanged=done.unchanged,
        p95_ms=p95,
        times=p95 / release.p95_ms if p95 is not None and release.p95_ms else None,
        gap_ms=done.gap_ms,
        sent_bytes=done.sent_bytes,
    )
