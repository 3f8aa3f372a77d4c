"""The lease of a device, from the operator's side: who we are, and when a lease that was left behind is broken."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import digest_of
from edgewright.device import processes
from edgewright.device.lease import boot_id
from edgewright.pipeline.device_program import TIMEOUT_S, Leased, operate

RENEW_S = 120.0
"""While files are sent, the lease is renewed this often; it lasts five times as long."""
T = TypeVar("T")


@cache
def ours() -> Mapping[str, Any]:
    """Who this process is to a device. Two runs of one user are two operators."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no name for this user number
        user = str(os.getuid())
    host, process = f"{socket.gethostname()} {boot_id()}", processes.identity(os.getpid())
    token = digest_of(host, process)
    return {"owner": f"{user}@{socket.gethostname()}", "token": token, "host": host, "process": process}


async def held(
    link: Link, op: str, request: Mapping[str, Any], *, take_over: bool = False, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """An operation under our lease. Leased (a DeviceError that names the other) where another operator holds it, unless
    that was a process of this very machine which has ended: its lease is broken without asking."""
    lease = {**ours(), "take_over": take_over}
    try:
        return await operate(link, op, {**request, "lease": lease}, timeout_s=timeout_s)
    except Leased as error:
        theirs, process = error.holder.get("host"), error.holder.get("process")
        if theirs != ours()["host"] or not boot_id() or processes.alive(process):
            raise
        return await operate(link, op, {**request, "lease": {**lease, "take_over": True}}, timeout_s=timeout_s)


class Holding:
    """Our lease over work that takes longer than it lasts."""

    def __init__(self, link: Link) -> None:
        self._link, self._turn = link, asyncio.Lock()

    async def ask(self, op: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """As `held`, one operation at a time: the installer would take a renewal of ours beside it for another's."""
        async with self._turn:
            return await held(self._link, op, request)

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, with the lease renewed all the while. Leased where another operator has the device
        meanwhile: the work is ended then, wherever it is."""
        working, renewing = asyncio.create_task(work), asyncio.create_task(self._renew())
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if renewing.done():
                renewing.result()
            return await working
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self.ask("lease", {})
            except Leased:
                raise
            except (DeviceError, OSError):  # the lease outlasts a few renewals; where the link is lost, the work ends
                continue


async def given_back(link: Link) -> None:
    """Ends our lease, if the device can be reached: else it runs out."""
    with suppress(DeviceError, OSError):
        await operate(link, "lease", {"lease": dict(ours()), "end": True})
