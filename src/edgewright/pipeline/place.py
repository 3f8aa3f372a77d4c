"""Place: a local file or folder on the device, under its digest, unless the device sees it already."""

from __future__ import annotations

from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.record import digest_of


async def place(link: Link, local: Path) -> str:
    """The path on the device. A remote device gets it once; a device that shares files gets nothing."""
    if link.shares_files:
        return str(local)
    stat = local.stat()
    remote = f"{link.scratch}/{digest_of(str(local), stat.st_size, stat.st_mtime_ns)[:24]}-{local.name}"
    if await link.stat(remote) is None:
        await link.put(local, remote)
    return remote
