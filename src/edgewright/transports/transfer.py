"""Copies over SFTP that survive a cut at any moment: a temporary name that carries the content's digest,
fsync, rename. A copy that was cut goes on at the byte where it stopped.

What was resumed is believed only after its digest was compared; a plain copy is protected by SSH itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import posixpath
import stat
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from edgewright.core.errors import DeviceError
from edgewright.transports.sftp import (
    BLOCK,
    FAILURE,
    FLAG_CREATE,
    FLAG_EXCLUSIVE,
    FLAG_READ,
    FLAG_WRITE,
    FSYNC,
    NO_SUCH_FILE,
    POSIX_RENAME,
    STATVFS,
    Attributes,
    Sftp,
    SftpError,
    encoded,
)

IN_FLIGHT = 32
"""Blocks on the way at once: 1 MiB, enough for 100 ms at 10 MB/s."""
FILES_AT_ONCE = 8
SMALL = 1 << 20
"""Bytes that are sent without asking for space first: a full disk is told either way."""
RESERVE = 8 << 20
"""Bytes of disk that stay free on either side."""
MOST_FILES = 100_000
DEEPEST = 64

Digest = Callable[[bytes], Awaitable[str]]
"""sha256 (hex) of a file on the device, computed there; "" where it cannot be read."""


class Copier:
    """One device's copies. `rest` is a token bucket for the bandwidth; `moved` counts bytes, so that a caller
    knows whether an attempt that was cut came any further."""

    def __init__(self, digest: Digest, bandwidth: float = 0.0) -> None:
        self._digest, self._pace = digest, _Pace(bandwidth)
        self.moved = 0
        self._folders: set[bytes] = set()

    async def put(self, sftp: Sftp, local: Path, remote: str) -> None:
        """A file or a folder, its files one by one; what is there already with the same content is left alone."""
        files = list(_files(local))
        await self._refuse_full(sftp, encoded(remote), [path for path, _ in files if path.is_file()])
        if local.is_dir():
            await self._make_folders(sftp, encoded(remote))
        targets = [(path, encoded(posixpath.join(remote, name) if name else remote)) for path, name in files]
        for path, target in targets:
            if path.is_dir():
                await self._make_folders(sftp, target)
        await _side_by_side([partial(self._send, sftp, path, target) for path, target in targets if not path.is_dir()])

    async def get(self, sftp: Sftp, remote: str, local: Path) -> None:
        start = encoded(remote)
        there = await sftp.stat(start)
        if there is None:
            raise SftpError(NO_SUCH_FILE, "")
        if not stat.S_ISDIR(there.mode):
            await self._fetch(sftp, start, there, local)
            return
        local.mkdir(parents=True, exist_ok=True)
        files = []
        for name, found in await _tree(sftp, start):
            target = local / os.fsdecode(name)
            if stat.S_ISDIR(found.mode):
                target.mkdir(parents=True, exist_ok=True)
            else:
                files.append((start + b"/" + name, found, target))
        await _side_by_side([partial(self._fetch, sftp, *file) for file in files])

    async def _send(self, sftp: Sftp, local: Path, remote: bytes) -> None:
        status = local.stat()
        digest = await asyncio.to_thread(_digest_of, local)
        there = await sftp.stat(remote)
        if there is not None and stat.S_ISDIR(there.mode):
            raise IsADirectoryError(f"{os.fsdecode(remote)} is a folder")
        if there is not None and there.size == status.st_size and await self._digest(remote) == digest:
            return
        folder = posixpath.dirname(remote)
        await self._make_folders(sftp, folder)
        part = part_of(remote, digest)
        handle, offset, shared = await self._open_part(sftp, part, status.st_size)
        with local.open("rb") as source:
            source.seek(offset)
            try:
                await self._pour(sftp, handle, source, offset, status.st_size)
            except SftpError as error:
                await self._explain_full(sftp, error, handle, part, status.st_size)
                raise
        if FSYNC in sftp.extensions:
            await sftp.fsync(handle)
        await sftp.set_mode(handle, stat.S_IMODE(status.st_mode))
        await sftp.close_handle(handle)
        if (shared or local.stat().st_mtime_ns != status.st_mtime_ns) and await self._digest(part) != digest:
            with contextlib.suppress(SftpError):
                await sftp.remove(part)
            raise _Different(f"{local} changed while it was sent, or the device keeps other bytes than it was given")
        await _rename(sftp, part, remote)

    async def _open_part(self, sftp: Sftp, part: bytes, size: int) -> tuple[bytes, int, bool]:
        """A handle, where to go on, and whether others wrote to it. Never truncates: another host may be sending the
        same bytes, and whoever ends first renames the file that both write. What is no plain file, or too long, is
        nothing of ours."""
        found = await sftp.stat(part, follow=False)
        if found is not None and (not stat.S_ISREG(found.mode) or found.size > size):
            await sftp.remove(part)
            found = None
        if found is None:
            try:
                return await sftp.open(part, FLAG_WRITE | FLAG_CREATE | FLAG_EXCLUSIVE, 0o600), 0, False
            except SftpError:
                found = await sftp.stat(part, follow=False)
                if found is None or not stat.S_ISREG(found.mode):
                    raise
        return await sftp.open(part, FLAG_WRITE), min(found.size, size), True

    async def _pour(self, sftp: Sftp, handle: bytes, source: Any, offset: int, size: int) -> None:
        """The rest of the file, block by block; the oldest answer is awaited first, so the file grows without holes."""
        flying: deque[tuple[int, asyncio.Task[None]]] = deque()
        try:
            while offset < size or flying:
                while offset < size and len(flying) < IN_FLIGHT:
                    block = source.read(min(BLOCK, size - offset))
                    if not block:
                        raise _Different("the source became shorter while it was sent")
                    await self._pace.take(len(block))
                    flying.append((len(block), asyncio.create_task(sftp.write(handle, offset, block))))
                    offset += len(block)
                length, answer = flying.popleft()
                await answer
                self.moved += length
        finally:
            await _drop(flying)

    async def _fetch(self, sftp: Sftp, remote: bytes, there: Attributes, local: Path) -> None:
        if not stat.S_ISREG(there.mode):
            raise OSError(f"{os.fsdecode(remote)} is neither a file nor a folder")
        if local.is_dir():
            raise IsADirectoryError(f"{local} is a folder")
        local.parent.mkdir(parents=True, exist_ok=True)
        _refuse_full_here(local.parent, there.size)
        key = hashlib.sha256(b"%s\0%d\0%d\0" % (remote, there.size, there.modified) + os.fsencode(local.name))
        part = local.with_name(f".part-{key.hexdigest()[:40]}")
        handle = await sftp.open(remote, FLAG_READ)
        with part.open("ab") as out:
            resumed = out.tell()
            if resumed > there.size:
                out.truncate(resumed := 0)
            await self._draw(sftp, handle, out, resumed, there.size)
            out.flush()
            os.fsync(out.fileno())
        await sftp.close_handle(handle)
        if resumed and await asyncio.to_thread(_digest_of, part) != await self._digest(remote):
            part.unlink()
            raise _Different(f"{os.fsdecode(remote)} changed while it was fetched")
        part.chmod(stat.S_IMODE(there.mode) & 0o777)
        part.replace(local)
        _sync_folder(local.parent)

    async def _draw(self, sftp: Sftp, handle: bytes, out: Any, offset: int, size: int) -> None:
        """Blocks up to the size the file had; what a device adds meanwhile is not taken."""
        flying: deque[tuple[int, int, asyncio.Task[bytes]]] = deque()
        try:
            while offset < size or flying:
                while offset < size and len(flying) < IN_FLIGHT:
                    count = min(BLOCK, size - offset)
                    await self._pace.take(count)
                    flying.append((offset, count, asyncio.create_task(sftp.read(handle, offset, count))))
                    offset += count
                at, count, answer = flying.popleft()
                block = (await answer)[:count]
                while len(block) < count:  # a server may give less than was asked for
                    more = await sftp.read(handle, at + len(block), count - len(block))
                    if not more:
                        raise _Different("the file became shorter while it was fetched")
                    block += more[: count - len(block)]
                out.write(block)
                self.moved += count
        finally:
            await _drop(flying)

    async def _make_folders(self, sftp: Sftp, folder: bytes) -> None:
        missing = []
        while folder not in self._folders and folder not in (b"", b"/"):
            there = await sftp.stat(folder)
            if there is not None:
                if not stat.S_ISDIR(there.mode):
                    raise NotADirectoryError(f"{os.fsdecode(folder)} is not a folder")
                self._folders.add(folder)
                break
            missing.append(folder)
            folder = posixpath.dirname(folder)
        for name in reversed(missing):
            try:
                await sftp.make_folder(name)
            except SftpError:
                again = await sftp.stat(name)  # another copy may have made it meanwhile
                if again is None or not stat.S_ISDIR(again.mode):
                    raise
            self._folders.add(name)

    def forget(self) -> None:
        """Folders that were there may be gone: a device that comes back may have been wiped."""
        self._folders.clear()

    async def _refuse_full(self, sftp: Sftp, remote: bytes, files: list[Path]) -> None:
        """Before a byte is sent. What is there already (parts, equal files) is not subtracted: at worst too careful
        by what a cut copy left."""
        wanted = sum(path.stat().st_size for path in files)
        if STATVFS not in sftp.extensions or wanted < SMALL:
            return
        place = remote
        while place not in (b"", b"/") and await sftp.stat(place) is None:
            place = posixpath.dirname(place)
        free = await sftp.free(place or b"/")
        left = wanted if free >= wanted + RESERVE else await self._left(sftp, remote, files)
        if free < left + RESERVE:
            raise DeviceError(
                f"The device has {free >> 20} MiB of disk free, and {(left + RESERVE) >> 20} are needed.",
                "Free some space on it, or choose another `root:`.",
            )

    async def _left(self, sftp: Sftp, remote: bytes, files: list[Path]) -> int:
        """Bytes still to be sent of one file that was cut; of a folder all of it."""
        if len(files) != 1:
            return sum(path.stat().st_size for path in files)
        digest = await asyncio.to_thread(_digest_of, files[0])
        part = part_of(remote, digest)
        there = await sftp.stat(part, follow=False)
        return files[0].stat().st_size - (there.size if there is not None else 0)

    async def _explain_full(self, sftp: Sftp, error: SftpError, handle: bytes, part: bytes, size: int) -> None:
        """Version 3 has no word for a full disk. Its rest is removed, so that the device can breathe."""
        if error.code != FAILURE or STATVFS not in sftp.extensions:
            return
        free = await sftp.free(posixpath.dirname(part) or b"/")
        if free > BLOCK * IN_FLIGHT:
            return
        with contextlib.suppress(SftpError):
            await sftp.close_handle(handle)
            await sftp.remove(part)
        raise DeviceError(
            f"The disk of the device became full while {size >> 20} MiB were sent.", "Free some space on it."
        )


def part_of(remote: bytes, digest: str) -> bytes:
    """The temporary name of a file on its way: beside it, told by its content and its name."""
    folder, name = posixpath.split(remote)
    return folder + b"/.part-" + hashlib.sha256(digest.encode() + b"\0" + name).hexdigest()[:40].encode()


class _Different(OSError):
    """Both sides disagree on the content; a fresh copy may mend it."""

    may_pass = True


class _Pace:
    """A token bucket that holds a quarter of a second."""

    def __init__(self, bandwidth: float) -> None:
        self._bandwidth, self._tokens, self._at = bandwidth, 0.0, time.monotonic()

    async def take(self, count: int) -> None:
        if not self._bandwidth:
            return
        now = time.monotonic()
        self._tokens = min(self._bandwidth / 4, self._tokens + (now - self._at) * self._bandwidth) - count
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._bandwidth)


async def _rename(sftp: Sftp, part: bytes, remote: bytes) -> None:
    if POSIX_RENAME not in sftp.extensions:
        raise DeviceError(
            "The SFTP server of the device cannot replace a file at once (posix-rename).", "Install OpenSSH there."
        )
    try:
        await sftp.replace(part, remote)
    except SftpError as error:
        if error.code == NO_SUCH_FILE:
            raise _Different("somebody else sent the same file at the same time") from None
        raise


async def _side_by_side(copies: list[Callable[[], Awaitable[None]]]) -> None:
    """A few at a time: small files cost round trips, not bytes. The first error ends the rest."""
    gate = asyncio.Semaphore(FILES_AT_ONCE)

    async def one(copy: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await copy()

    tasks = [asyncio.create_task(one(copy)) for copy in copies]
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drop(flying: Any) -> None:
    for entry in flying:
        entry[-1].cancel()
    await asyncio.gather(*(entry[-1] for entry in flying), return_exceptions=True)


async def _tree(sftp: Sftp, root: bytes) -> list[tuple[bytes, Attributes]]:
    """Everything under a folder of the device, folders before what they hold. Names are the device's word and may
    be hostile; links to folders are not followed, those to files are their content (as a local copy does)."""
    found: list[tuple[bytes, Attributes]] = []
    waiting = [(b"", 0)]
    while waiting:
        folder, depth = waiting.pop()
        for name, attributes in await sftp.list_folder(root + b"/" + folder if folder else root, MOST_FILES):
            if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
                raise OSError(f"the device lists a file called {name!r}")
            path = folder + b"/" + name if folder else name
            own = attributes
            if stat.S_ISLNK(attributes.mode):
                own = await sftp.stat(root + b"/" + path) or attributes
            elif stat.S_ISDIR(attributes.mode):
                waiting.append((path, depth + 1))
            found.append((path, own))
            if len(found) > MOST_FILES or depth > DEEPEST:
                raise OSError(f"{os.fsdecode(root)} holds too many files or folders")
    return found


def _files(local: Path) -> Iterator[tuple[Path, str]]:
    """(path, name under the folder): what a local copy takes, in its order. OSError for anything special."""
    if not local.is_dir():
        local.stat()
        if not local.is_file():
            raise OSError(f"{local} is neither a file nor a folder")
        yield local, ""
        return
    for path in sorted(local.rglob("*")):
        if not path.is_dir() and not path.is_file():
            raise OSError(f"{path} is neither a file nor a folder")
        yield path, path.relative_to(local).as_posix()


def _digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_full_here(folder: Path, size: int) -> None:
    there = os.statvfs(folder)
    if there.f_bavail * there.f_frsize < size + RESERVE:
        raise OSError(f"no space for {size >> 20} MiB in {folder}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
