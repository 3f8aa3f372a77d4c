"""Send: the blobs that a device lacks, into its incoming/: as deltas where that was found to be worth it, small ones in
one archive, the rest side by side."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.device.patch import ARCHIVE, ENDING, SMALL
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.delta import Delta
from edgewright.pipeline.lease import Holding

AT_ONCE = 8
"""Files under way to one device."""
FEW = 4
"""Fewer small files than this are sent as they are; for more, one archive saves eight round trips each."""


async def send(bundle: Bundle, wanted: Sequence[str], deltas: Mapping[str, Delta], link: Link, holding: Holding) -> int:
    """How many bytes of files were sent. What the device cannot rebuild out of its delta, or take out of the archive,
    is sent whole."""
    patched = {digest: deltas[digest] for digest in wanted if digest in deltas}
    small = [digest for digest in wanted if digest not in patched and bundle.sizes[digest] <= SMALL]
    if link.shares_files or len(small) < FEW:
        small = []
    whole = [digest for digest in wanted if digest not in patched and digest not in small]
    sent = await _put_whole(bundle, whole, link)
    if small:
        sent += await _send_small(bundle, small, link, holding)
    if patched:
        sent += await _send_deltas(bundle, patched, link, holding)
    return sent


async def _put_whole(bundle: Bundle, digests: Sequence[str], link: Link) -> int:
    await _put_all({f"{link.root}/incoming/{digest}": bundle.blob(digest) for digest in digests}, link)
    return sum(bundle.sizes[digest] for digest in digests)


async def _send_small(bundle: Bundle, digests: Sequence[str], link: Link, holding: Holding) -> int:
    data = _archive(bundle.path, tuple(sorted(digests)))
    name = hashlib.sha256(data).hexdigest()
    with tempfile.NamedTemporaryFile(prefix="edgewright-") as file:
        file.write(data)
        file.flush()
        await _put_all({f"{link.root}/incoming/{name}{ARCHIVE}": Path(file.name)}, link)
    asked = {"archive": name, "sizes": {digest: bundle.sizes[digest] for digest in digests}}
    answer = await holding.ask("unpack", asked)
    left = [digest for digest in digests if digest not in (answer.get("unpacked") or ())]
    return len(data) + await _put_whole(bundle, left, link)


async def _send_deltas(bundle: Bundle, deltas: Mapping[str, Delta], link: Link, holding: Holding) -> int:
    await _put_all({f"{link.root}/incoming/{digest}{ENDING}": delta.path for digest, delta in deltas.items()}, link)
    asked = {digest: {"base": delta.base, "size": delta.full} for digest, delta in deltas.items()}
    answer = await holding.ask("patch", {"deltas": asked})
    left = [digest for digest in deltas if digest not in (answer.get("rebuilt") or ())]
    return sum(delta.size for delta in deltas.values()) + await _put_whole(bundle, left, link)


@lru_cache(maxsize=4)
def _archive(bundle: Path, digests: Sequence[str]) -> bytes:
    """Blobs as a zip file; the devices of a wave mostly lack the same ones."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for digest in digests:
            data = (bundle / "blobs" / "sha256" / digest).read_bytes()
            archive.writestr(zipfile.ZipInfo(digest, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


async def _put_all(files: Mapping[str, Path], link: Link) -> None:
    """Each file to its name there; the first error ends the rest."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(remote: str, local: Path) -> None:
        async with gate:
            await link.put(local, remote)

    tasks = [asyncio.create_task(one(remote, local)) for remote, local in files.items()]
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
