"""Deltas for a device: of the files that it lacks, those that can be made of what it serves now with far fewer bytes.

A delta belongs to two digests, so it is made once, kept in the store, and sent to every device that has the one and
lacks the other. Whether it is worth sending was decided when it was made.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from weakref import WeakValueDictionary

from edgewright.core.record import Record, digest_of
from edgewright.pipeline.bundle import Bundle
from edgewright.store.cache import Store, code_version

WORTH = 0.8
"""A delta over this share of the full file is not sent: the work on the device would save too little."""
SMALLEST, LARGEST = 2 << 10, 512 << 20
"""Bytes of a file that a delta is made for: below, a message more costs as much; above, it takes too long here."""
APART = 1 << 20
"""From this size on a process of its own makes it, so that this one stays small and answers."""

MOST_BASES = 64
_known_bases: dict[tuple[str, str, tuple[str, ...]], dict[str, str]] = {}
_remembered: set[tuple[str, str, str]] = set()
_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True)
class Delta(Record):
    """How to make the blob `target` of the blob `base`: `path` holds `size` bytes, `full` is the size of the target.
    `worth` is False where the whole file is as good; there is no file then."""

    base: str
    target: str
    path: Path
    size: int
    full: int
    worth: bool


def remember(store: Store, bundle: Bundle) -> None:
    """Where a release that goes out lies here: the next one may be sent as what differs from it."""
    place = (str(store.root), bundle.digest, str(bundle.path))
    if place in _remembered:
        return  # a fleet's devices all get it
    if store.get("shipped", bundle.digest, Bundle) != bundle:
        store.put("shipped", bundle.digest, bundle)
    _remembered.add(place)


async def deltas_for(store: Store, bundle: Bundle, live: str, wanted: Sequence[str], codecs: str) -> dict[str, Delta]:
    """By digest, the blobs of `wanted` that are better sent as deltas to a device that runs the release `live`.
    Empty where that release was not sent from here, or the device unpacks none of our `codecs`."""
    old = store.get("shipped", live, Bundle)
    if not codecs or old is None or not old.path.is_dir():
        return {}
    found = {}
    for target, base in _bases_once(bundle, old, tuple(wanted)).items():
        if SMALLEST <= bundle.sizes[target] <= LARGEST >= old.sizes[base] and old.blob(base).is_file():
            delta = await made(store, old.blob(base), bundle.blob(target), codecs[0])
            if delta.worth:
                found[target] = delta
    return found


def _bases_once(bundle: Bundle, old: Bundle, wanted: tuple[str, ...]) -> dict[str, str]:
    """`bases`, thought of once for all devices of a fleet that have the one and lack the same of the other."""
    key = (bundle.digest, old.digest, wanted)
    if key not in _known_bases:
        if len(_known_bases) >= MOST_BASES:
            _known_bases.clear()
        _known_bases[key] = bases(bundle, old, wanted)
    return _known_bases[key]


def bases(bundle: Bundle, old: Bundle, wanted: Sequence[str]) -> dict[str, str]:
    """For each wanted blob the one of the old release that has its place: manifest for manifest, config for config,
    else the same path, else the file of the same folder and ending that is closest in size."""
    paths = {digest: path for path, digest in bundle.files.items()}
    cards = dict(zip(_cards(bundle), _cards(old), strict=False))
    found = {digest: base for digest, base in cards.items() if digest in wanted and digest != base}
    for digest in wanted:
        path = paths.get(digest)
        if path is None:
            continue
        alike = [other for other in old.files if _kind(other) == _kind(path)]
        nearest = min(alike, key=lambda other: abs(old.sizes[old.files[other]] - bundle.sizes[digest]), default=None)
        base = path if path in old.files else nearest
        if base is not None and old.files[base] != digest:
            found[digest] = old.files[base]
    return found


async def made(store: Store, base: Path, target: Path, codec: str) -> Delta:
    """The delta between two blobs, which are named by their digests; out of the store if it was made before."""
    key = digest_of(code_version("pipeline/difference", "device/delta"), base.name, target.name, codec, WORTH)
    async with _lock(key):  # a wave of devices asks for the same one at once
        kept = store.get("delta", key, Delta)
        if kept is None or (kept.worth and not kept.path.is_file()):
            async with _lock("one at a time"):
                kept = store.put("delta", key, await _make(store, key, base, target, codec))
    return kept


async def _make(store: Store, key: str, base: Path, target: Path, codec: str) -> Delta:
    full = target.stat().st_size
    with store.making("delta", key) as folder:
        out = folder / "delta"
        if max(full, base.stat().st_size) < APART:
            await asyncio.to_thread(_write, base, target, out, codec)
        else:
            await _write_apart(base, target, out, codec)
        size = out.stat().st_size
        if size > WORTH * full:
            out.unlink()
    return Delta(base.name, target.name, store.folder("delta", key) / "delta", size, full, size <= WORTH * full)


def _write(base: Path, target: Path, out: Path, codec: str) -> None:
    from edgewright.pipeline.difference import difference

    out.write_bytes(difference(base.read_bytes(), target.read_bytes(), codec))


async def _write_apart(base: Path, target: Path, out: Path, codec: str) -> None:
    argv = [sys.executable, "-m", "edgewright.pipeline.difference", str(base), str(target), str(out), codec]
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
    try:
        await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        shutil.copyfile(target, out)  # out of memory, most likely: as good as no delta


def _cards(bundle: Bundle) -> list[str]:
    """The blobs that are no files of the release: its manifest and its config."""
    return [bundle.digest, *(bundle.sizes.keys() - {bundle.digest, *bundle.files.values()})]


def _kind(path: str) -> tuple[str, str]:
    place = PurePosixPath(path)
    return str(place.parent), place.suffix


def _lock(key: str) -> asyncio.Lock:
    return _locks.setdefault(key, asyncio.Lock())
