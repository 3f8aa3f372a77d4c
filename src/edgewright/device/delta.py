"""A file rebuilt from one that is here and what was sent of the difference. The delta is hostile until the result has
the digest it should have, which the caller checks; memory and output are bounded whatever it says.

    b"EWDELTA1", one byte (z: zlib stream, x: xz stream), then the stream, which holds steps, little-endian:
    1  u64 offset, u64 length                        that much of the base, as it is
    2  u64 length, bytes                             bytes that the base does not have
    3  u8 width, u64 offset, u64 length, bytes       words of 1, 2 or 4 bytes of the base, plus the bytes as words,
                                                     modulo their range; in blocks, each block as byte planes

A trained weight changes a little: as words, the differences are small numbers, and their upper bytes, side by side, all
but vanish when packed (bsdiff's idea; Percival, "Naive differences of executable code", 2003, for words of a tensor).
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from typing import IO, Any, Iterator

MAGIC = b"EWDELTA1"
ZLIB, XZ = b"z", b"x"
COPY, INSERT, ADD = 1, 2, 3
BLOCK = 1 << 18
"""Bytes of one block of step 3, and of anything that is held at once."""
XZ_MEMORY = 40 << 20
"""What the decoder may take; our own streams have a dictionary of 8 MiB."""
WIDTHS = (1, 2, 4)


class DeltaError(Exception):
    """A delta that does not fit its base, or that we did not make."""


def codecs() -> str:
    """The streams that can be unpacked here: small Pythons are built without lzma."""
    try:
        import lzma  # noqa: F401
    except ImportError:
        return ZLIB.decode()
    return (XZ + ZLIB).decode()


def apply(base: str, delta: str, out: str, size: int) -> str:
    """Writes exactly `size` bytes to `out` (fsynced) and gives their sha256. DeltaError where the delta is damaged or
    wants something else; OSError of the disk. What is in `out` then is nothing."""
    with open(base, "rb") as old, open(delta, "rb") as packed, open(out, "wb") as new:
        digest = rebuild(old, packed, new, size)
        new.flush()
        os.fsync(new.fileno())
    return digest


def rebuild(base: IO[bytes], packed: IO[bytes], out: IO[bytes], size: int) -> str:
    """As `apply`, of open files."""
    steps = _Unpacked(packed)
    end = base.seek(0, 2)
    total, left = hashlib.sha256(), size
    while left:
        kind = steps.exactly(1)[0]
        width = steps.exactly(1)[0] if kind == ADD else 1
        offset = 0 if kind == INSERT else _number(steps)
        length = _number(steps)
        if kind not in (COPY, INSERT, ADD) or width not in WIDTHS or not 0 < length <= left or length % width:
            raise DeltaError("a step of the delta makes no sense")
        if kind != INSERT and offset + length > end:
            raise DeltaError("a step of the delta reads beyond the base")
        base.seek(offset)
        for count in _blocks(length):
            block = _block(kind, width, base, steps, count)
            total.update(block)
            out.write(block)
        left -= length
    steps.end()
    return total.hexdigest()


def _block(kind: int, width: int, base: IO[bytes], steps: "_Unpacked", count: int) -> bytes:
    if kind == INSERT:
        return steps.exactly(count)
    old = base.read(count)
    if len(old) != count:
        raise DeltaError("the base became shorter")
    return old if kind == COPY else plus(old, steps.exactly(count), width)


def plus(old: bytes, planes: bytes, width: int) -> bytes:
    """`old` as little-endian words, plus the words whose byte planes are given. All words at once, as two long numbers:
    their highest bits are added apart, so that none carries into its neighbour (there may be no numpy here)."""
    words = bytearray(len(old))
    count = len(old) // width
    for place in range(width):
        words[place::width] = planes[place * count : (place + 1) * count]
    first, second = int.from_bytes(old, "little"), int.from_bytes(words, "little")
    low = int.from_bytes((b"\xff" * (width - 1) + b"\x7f") * count, "little")
    high = int.from_bytes((b"\0" * (width - 1) + b"\x80") * count, "little")
    return (((first & low) + (second & low)) ^ ((first ^ second) & high)).to_bytes(len(old), "little")


class _Unpacked(object):
    """The stream, as many bytes at a time as are asked for."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._waiting = packed, b""
        head = packed.read(len(MAGIC) + 1)
        if head == MAGIC + ZLIB:
            self._decoder = zlib.decompressobj()  # type: Any
        elif head == MAGIC + XZ:
            self._decoder = _xz()
        else:
            raise DeltaError("it is no delta of ours")

    def exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._more(count)
            if not part:
                raise DeltaError("the delta ends too early")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def end(self) -> None:
        """DeltaError unless this was all."""
        if self._more(1) or not self._decoder.eof or self._decoder.unused_data or self._packed.read(1):
            raise DeltaError("the delta goes on behind its end")

    def _more(self, most: int) -> bytes:
        while not self._decoder.eof:
            data = self._waiting or (self._packed.read(1 << 16) if self._hungry() else b"")
            try:
                part = bytes(self._decoder.decompress(data, most))
            except Exception:  # zlib.error, LZMAError, and what a hostile stream may cause besides: all say the same
                raise DeltaError("the delta is damaged") from None
            self._waiting = getattr(self._decoder, "unconsumed_tail", b"")
            if part:
                return part
            if not data and self._hungry():
                return b""
        return b""

    def _hungry(self) -> bool:
        """An xz decoder keeps what it was given; a zlib decoder gives it back."""
        return bool(getattr(self._decoder, "needs_input", True))


def _xz() -> Any:
    try:
        import lzma
    except ImportError:
        raise DeltaError("this Python cannot unpack xz") from None
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def _number(steps: _Unpacked) -> int:
    return int(struct.unpack("<Q", steps.exactly(8))[0])


def _blocks(length: int) -> Iterator[int]:
    while length:
        count = min(BLOCK, length)
        yield count
        length -= count
