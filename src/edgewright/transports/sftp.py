"""The SFTP client: version 3 of the protocol (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions
posix-rename, fsync and statvfs (PROTOCOL of OpenSSH, section 4), over any channel.

Our own because both SSH members need the same one: the system's `sftp` cannot resume with fsync and takes
file names as lines of text. Everything that comes from the device is bounded.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from edgewright.transports.carrier import Channel, Lost

T = TypeVar("T")

PACKET_LIMIT = 1 << 20
"""Bytes of one answer; OpenSSH sends 256 KiB at most."""
BLOCK = 31 << 10
"""Bytes of one read or write that every server takes. With its header it fits the 32 KiB that an SSH packet carries:
one kilobyte more would make two packets of each."""
TIMEOUT_S = 60.0
"""For one answer; a server that says nothing for so long has gone."""

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, FSETSTAT = 1, 2, 3, 4, 5, 6, 7, 8, 10
OPENDIR, READDIR, REMOVE, MKDIR, STAT = 11, 12, 13, 14, 17
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, UNSUPPORTED = 0, 1, 2, 3, 4, 8
FLAG_READ, FLAG_WRITE, FLAG_CREATE, FLAG_EXCLUSIVE = 1, 2, 8, 32
POSIX_RENAME, FSYNC, STATVFS = b"posix-rename@openssh.com", b"fsync@openssh.com", b"statvfs@openssh.com"

REASONS = {NO_SUCH_FILE: "it is not there", PERMISSION_DENIED: "permission denied", FAILURE: "the device failed"}


class SftpError(Exception):
    """The server said no. `code` is one of SSH_FX_*."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(REASONS.get(code) or said[:200] or f"status {code}")
        self.code = code


@dataclass(frozen=True)
class Attributes:
    """What a server says of a file: bytes, POSIX mode with the kind of file, seconds since 1970."""

    size: int = 0
    mode: int = 0
    modified: int = 0


class Sftp:
    """`await Sftp.over(channel)`. Paths are bytes, as POSIX has them. Requests may be sent side by side."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.silent = False  # whether it was given up because no answer came
        self._waiting: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._next, self._lost = 0, ""
        self.extensions: frozenset[bytes] = frozenset()
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def over(cls, channel: Channel) -> Sftp:
        """Lost where the server speaks no SFTP, as well as where it has gone."""
        found = cls(channel)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await channel.write(struct.pack(">IBI", 5, INIT, 3))
                packets = _packets(channel)
                kind, body = await anext(packets)
        except StopAsyncIteration:
            raise Lost("it has no SFTP server") from None
        except TimeoutError:
            raise Lost("its SFTP server says nothing") from None
        if kind != VERSION:
            raise Lost("it has no SFTP server")
        found.extensions = frozenset(_strings(body[4:])[::2])
        found._reading = asyncio.create_task(found._read(packets))
        return found

    @property
    def alive(self) -> bool:
        return not self._lost

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._end("the link was closed")
        await self.channel.close()

    async def open(self, path: bytes, flags: int, mode: int | None = None) -> bytes:
        """A handle."""
        attributes = struct.pack(">I", 0) if mode is None else struct.pack(">II", 4, mode & 0o777)
        return await self._ask(OPEN, _string(path) + struct.pack(">I", flags) + attributes, HANDLE, _first)

    async def close_handle(self, handle: bytes) -> None:
        await self._do(CLOSE, _string(handle))

    async def read(self, handle: bytes, offset: int, count: int) -> bytes:
        """At most `count` bytes; b"" at the end of the file."""
        try:
            return await self._ask(READ, _string(handle) + struct.pack(">QI", offset, count), DATA, _first)
        except SftpError as error:
            if error.code == EOF:
                return b""
            raise

    async def write(self, handle: bytes, offset: int, data: bytes) -> None:
        await self._do(WRITE, _string(handle) + struct.pack(">Q", offset) + _string(data))

    async def stat(self, path: bytes, *, follow: bool = True) -> Attributes | None:
        """None where nothing is there."""
        try:
            return await self._ask(STAT if follow else LSTAT, _string(path), ATTRS, lambda b: _attributes(b, 0)[0])
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                return None
            raise

    async def stat_handle(self, handle: bytes) -> Attributes:
        return await self._ask(FSTAT, _string(handle), ATTRS, lambda b: _attributes(b, 0)[0])

    async def set_mode(self, handle: bytes, mode: int) -> None:
        await self._do(FSETSTAT, _string(handle) + struct.pack(">II", 4, mode & 0o777))

    async def make_folder(self, path: bytes) -> None:
        await self._do(MKDIR, _string(path) + struct.pack(">I", 0))

    async def remove(self, path: bytes) -> None:
        await self._do(REMOVE, _string(path))

    async def list_folder(self, path: bytes, most: int) -> list[tuple[bytes, Attributes]]:
        """Names (without `.` and `..`) with what they are, links not followed. OSError over `most` of them."""
        handle = await self._ask(OPENDIR, _string(path), HANDLE, _first)
        found: list[tuple[bytes, Attributes]] = []
        try:
            while True:
                found += await self._ask(READDIR, _string(handle), NAME, _names)
                if len(found) > most:
                    raise OSError(f"it holds more than {most} names")
        except SftpError as error:
            if error.code != EOF:
                raise
        finally:
            if self.alive:
                await self.close_handle(handle)
        return [pair for pair in found if pair[0] not in (b".", b"..")]

    async def replace(self, old: bytes, new: bytes) -> None:
        """rename(2): whatever has the new name is replaced at once. The server must know posix-rename."""
        await self._do(EXTENDED, _string(POSIX_RENAME) + _string(old) + _string(new))

    async def fsync(self, handle: bytes) -> None:
        await self._do(EXTENDED, _string(FSYNC) + _string(handle))

    async def free(self, path: bytes) -> int:
        """Bytes that an ordinary user may still write where `path` is."""
        return await self._ask(EXTENDED, _string(STATVFS) + _string(path), EXTENDED_REPLY, _free)

    async def _do(self, kind: int, body: bytes) -> None:
        await self._ask(kind, body, STATUS, bytes)

    async def _ask(self, kind: int, body: bytes, wanted: int, parse: Callable[[bytes], T]) -> T:
        if self._lost:
            raise Lost(self._lost)
        self._next = number = (self._next + 1) & 0xFFFFFFFF
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.channel.write(struct.pack(">IBI", len(body) + 5, kind, number) + body)
                got, data = await answer
        except TimeoutError:
            self.silent = True
            self._end(f"its SFTP server said nothing for {TIMEOUT_S:g} s")
            raise Lost(self._lost) from None
        finally:
            self._waiting.pop(number, None)
        try:
            if got == STATUS:
                (code,) = struct.unpack_from(">I", data)
                if code != OK or wanted != STATUS:
                    raise SftpError(code, (_strings(data[4:]) or [b""])[0].decode(errors="replace"))
            elif got != wanted:
                raise Lost(f"its SFTP server answered {got} to {kind}")
            return parse(data)
        except (struct.error, IndexError, ValueError):
            raise Lost("its SFTP server gave a broken answer") from None

    async def _read(self, packets: AsyncIterator[tuple[int, bytes]]) -> None:
        reason = "the connection was cut"
        try:
            async for kind, body in packets:
                if len(body) < 4:
                    raise Lost("its SFTP server gave a broken answer")
                answer = self._waiting.get(int.from_bytes(body[:4], "big"))
                if answer is not None and not answer.done():
                    answer.set_result((kind, body[4:]))
        except Lost as lost:
            reason = str(lost)
        finally:
            self._end(reason)

    def _end(self, reason: str) -> None:
        self._lost = self._lost or reason
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Lost(self._lost))


async def _packets(channel: Channel) -> AsyncIterator[tuple[int, bytes]]:
    """(kind, body) of each packet. Lost for a length that no server may send."""
    data = bytearray()
    while part := await channel.read():
        data += part
        while len(data) >= 5:
            length = int.from_bytes(data[:4], "big")
            if not 1 <= length <= PACKET_LIMIT:
                raise Lost("its SFTP server does not speak SFTP: a login script may write to stdout")
            if len(data) < 4 + length:
                break
            yield data[4], bytes(data[5 : 4 + length])
            del data[: 4 + length]


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError("a string is longer than its packet")
    return data[at + 4 : end], end


def _first(data: bytes) -> bytes:
    return _take(data, 0)[0]


def _strings(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        text, at = _take(data, at)
        found.append(text)
    return found


def _attributes(data: bytes, at: int) -> tuple[Attributes, int]:
    (flags,) = struct.unpack_from(">I", data, at)
    at += 4
    size = mode = modified = 0
    if flags & 1:
        (size,), at = struct.unpack_from(">Q", data, at), at + 8
    if flags & 2:
        at += 8
    if flags & 4:
        (mode,), at = struct.unpack_from(">I", data, at), at + 4
    if flags & 8:
        (_, modified), at = struct.unpack_from(">II", data, at), at + 8
    if flags & 0x80000000:
        (count,), at = struct.unpack_from(">I", data, at), at + 4
        for _ in range(min(count, 1000) * 2):
            _, at = _take(data, at)
    return Attributes(size, mode, modified), at


def _names(data: bytes) -> list[tuple[bytes, Attributes]]:
    (count,) = struct.unpack_from(">I", data)
    found, at = [], 4
    for _ in range(min(count, 100_000)):
        name, at = _take(data, at)
        _, at = _take(data, at)  # as `ls -l` would show it
        attributes, at = _attributes(data, at)
        found.append((name, attributes))
    return found


def _free(data: bytes) -> int:
    """f_frsize × f_bavail of the eleven numbers."""
    numbers = struct.unpack_from(">11Q", data)
    return int(numbers[1] * numbers[4])


def encoded(path: str) -> bytes:
    return os.fsencode(path)
