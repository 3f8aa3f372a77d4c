"""Place: a local file or folder on the device, under its digest, unless the device sees it already."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.record import digest_of

AT_ONCE = 16


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


async def place_all(link: Link, local: Sequence[Path]) -> list[str]:
    """Many at once, in their order: a small file costs round trips, not bytes."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(path: Path) -> str:
        async with gate:
            return await place(link, path)

    tasks = [asyncio.create_task(one(path)) for path in local]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _mark(link: Link, remote: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        whole.write_bytes(b"whole\n")
        await link.put(whole, remote)
