"""Send: the blobs that a device lacks, into its incoming/, as deltas where that was found to be worth it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.device.patch import ENDING
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.delta import Delta
from edgewright.pipeline.lease import RENEW_S, held

AT_ONCE = 8
"""Files under way to one device: a small one costs round trips, not bytes."""


async def send(bundle: Bundle, wanted: Sequence[str], deltas: Mapping[str, Delta], link: Link) -> int:
    """How many bytes of files were sent; the lease is kept alive meanwhile. What the device cannot rebuild out of its
    delta is sent whole."""
    incoming = f"{link.root}/incoming"
    patched = {digest: deltas[digest] for digest in wanted if digest in deltas}
    files = {f"{incoming}/{digest}": bundle.blob(digest) for digest in wanted if digest not in patched}
    files |= {f"{incoming}/{digest}{ENDING}": delta.path for digest, delta in patched.items()}
    await _put_all(files, link)
    sent = sum(bundle.sizes[digest] for digest in wanted if digest not in patched)
    sent += sum(delta.size for delta in patched.values())
    if patched:
        asked = {digest: {"base": delta.base, "size": delta.full} for digest, delta in patched.items()}
        answer = await held(link, "patch", {"deltas": asked})
        whole = [digest for digest in patched if digest not in (answer.get("rebuilt") or ())]
        await _put_all({f"{incoming}/{digest}": bundle.blob(digest) for digest in whole}, link)
        sent += sum(bundle.sizes[digest] for digest in whole)
    return sent


async def _put_all(files: Mapping[str, Path], link: Link) -> None:
    """Each file to its name there; the first error ends the rest."""
    gate, renewed = asyncio.Semaphore(AT_ONCE), time.monotonic()

    async def one(remote: str, local: Path) -> None:
        nonlocal renewed
        async with gate:
            if time.monotonic() - renewed > RENEW_S:
                renewed = time.monotonic()
                await held(link, "lease", {})
            await link.put(local, remote)

    tasks = [asyncio.create_task(one(remote, local)) for remote, local in files.items()]
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
