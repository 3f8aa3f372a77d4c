"""The lease of a device, from the operator's side: who we are, and when a lease that was left behind is broken."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import digest_of
from edgewright.device import processes
from edgewright.device.lease import boot_id
from edgewright.pipeline.device_program import TIMEOUT_S, Leased, operate

RENEW_S = 120.0
"""While files are sent, the lease is renewed this often; it lasts five times as long."""


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


async def given_back(link: Link) -> None:
    """Ends our lease, if the device can be reached: else it runs out."""
    with suppress(DeviceError, OSError):
        await operate(link, "lease", {"lease": dict(ours()), "end": True})
