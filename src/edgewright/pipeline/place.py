"""Place: a local file or folder on the device, under its digest, unless the device sees it already."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.record import digest_of


async def place(link: Link, local: Path) -> str:
    """The path on the device. A remote device gets it once; a device that shares files gets nothing."""
    if link.shares_files:
        return str(local)
    stat = local.stat()
    remote = f"{link.scratch}/{digest_of(str(local), stat.st_size, stat.st_mtime_ns)[:24]}-{local.name}"
    # A file has its name only when whole; of a folder a mark beside it says so, for its copy may have been cut.
    mark = f"{remote}.whole" if local.is_dir() else remote
    if await link.stat(mark) is None:
        await link.put(local, remote)
        if local.is_dir():
            await _mark(link, mark)
    return remote


async def _mark(link: Link, remote: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        whole.write_bytes(b"whole\n")
        await link.put(whole, remote)
