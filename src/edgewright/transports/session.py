"""One program on the device, from the host's side: the other end of relay_program.py."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import secrets
import shlex
import signal
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

from edgewright.core.contracts import Completed
from edgewright.core.errors import DeviceError
from edgewright.transports.carrier import Channel, Lost

OUTPUT_LIMIT = 64 << 20
"""Bytes of stdout or of stderr that one program may write before it is ended."""
TAIL = 1 << 16
"""Bytes of stderr kept of a program that stays up."""
NOISE = 1 << 16
"""Bytes that a device's login scripts may write before our program speaks."""
SILENCE_S = 600.0
"""Without a sign of life from us for so long, the device ends the program. Long: our own work may block us."""
BEAT_S = 20.0
PATIENCE_S = 3.0
"""How long an end may take before a harder one, and how long pipes may stay open after a program's end."""

# One byte at a time up to the NUL: what follows is for the program itself. Packed, for it goes with every program.
BOOT = (
    'import os,zlib,base64;exec(zlib.decompress(base64.b85decode(b"".join(iter(lambda:os.read(0,1)or b"\\0",b"\\0")))))'
)


def command(python: str) -> str:
    """What the device's login shell is given: always the same words, whatever is to be run. The program's
    words and variables travel as data, so no shell and no length limit of one ever sees them."""
    return shlex.join(["exec", python, "-I", "-S", "-c", BOOT])


@cache
def _source() -> bytes:
    return base64.b85encode(zlib.compress((Path(__file__).parent / "relay_program.py").read_bytes(), 9))


class Session:
    """`begin` gives it once the program runs; `end` must be called. Lost where the connection goes."""

    def __init__(self, channel: Channel, program: str, tail_only: bool) -> None:
        self._channel, self.program = channel, program
        self._nonce = secrets.token_hex(8)
        self._token = re.compile(rb"\x1e" + self._nonce.encode() + rb":(up|no|exit)(?: ([^\n]*))?\n")
        self._limit = TAIL if tail_only else OUTPUT_LIMIT
        self._tail_only = tail_only
        self._errors = bytearray()
        loop = asyncio.get_running_loop()
        self._up: asyncio.Future[str] = loop.create_future()  # "" or why it could not be started
        self.exit: asyncio.Future[int] = loop.create_future()
        self._listening = asyncio.create_task(self._listen())
        self._beating: asyncio.Task[None] | None = None
        self._rest = b""

    @classmethod
    async def begin(
        cls, channel: Channel, argv: Sequence[str], env: Mapping[str, str] | None, *, stays: bool = False
    ) -> Self:
        """Starts the program. `stays`: it speaks lines, only the tail of its stderr is kept, and its children end
        with it. DeviceError where the device cannot start it."""
        found = cls(channel, str(argv[0]), tail_only=stays)
        try:
            await found._start(argv, env, stays)
        except BaseException:
            await found.end()
            raise
        return found

    async def _start(self, argv: Sequence[str], env: Mapping[str, str] | None, stays: bool) -> None:
        order = {
            "argv": [str(word) for word in argv],
            "env": dict(env or {}),
            "nonce": self._nonce,
            "silence_s": SILENCE_S,
            "group": stays,
        }
        await self._channel.write(_source() + b"\0" + json.dumps(order).encode() + b"\n")
        self._beating = asyncio.create_task(self._beat())
        await self._skip_noise()
        reason = await asyncio.shield(self._up)
        if reason:
            raise DeviceError(
                f"{self.program!r} cannot be started on the device: {reason}.",
                "Check that it is installed there and may be run.",
            )

    async def _skip_noise(self) -> None:
        mark, seen = self._nonce.encode() + b"\n", b""
        while mark not in seen:
            part = await self._channel.read()
            if not part or len(seen) > NOISE:
                await asyncio.wait([self._listening], timeout=PATIENCE_S)
                said = (seen + bytes(self._errors)).decode(errors="replace").strip().splitlines()
                raise DeviceError(
                    f"The device did not start our program: {said[-1][:300] if said else 'it said nothing'}.",
                    "Check that the user may run programs there, and that its login scripts are silent.",
                )
            seen += part
        self._rest = seen.partition(mark)[2]

    async def read(self) -> bytes:
        """What the program wrote to stdout; b"" at the end. Lost where it was cut off."""
        if self._rest:
            part, self._rest = self._rest, b""
            return part
        part = await self._channel.read()
        if not part and not self.exit.done():
            await asyncio.wait([self._listening], timeout=PATIENCE_S)
            if not self.exit.done() or self.exit.exception() is not None:
                raise Lost("the connection was cut")
        return part

    async def feed(self, data: bytes) -> None:
        """Into the program's stdin. A program that has ended reads nothing: no error here."""
        for start in range(0, len(data), 1 << 16):
            part = data[start : start + (1 << 16)]
            await self._order(b"D %d\n" % len(part) + part)

    async def feed_end(self) -> None:
        await self._order(b"E\n")

    async def signal(self, number: int) -> None:
        """To the program's whole group."""
        await self._order(b"S %d\n" % number)

    async def communicate(self, stdin: bytes) -> Completed:
        """Feeds it and waits for its end. DeviceError over OUTPUT_LIMIT, Lost where the connection goes."""
        out = bytearray()
        reading = asyncio.create_task(self._collect(out))
        feeding = asyncio.create_task(self._feed_all(stdin))
        try:
            waited: list[asyncio.Future[Any]] = [reading, self.exit]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            status = await asyncio.shield(self.exit)
            # Something that outlives the program may hold its pipes.
            await asyncio.wait([reading, self._listening], timeout=PATIENCE_S)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, feeding):
                task.cancel()
            await asyncio.gather(reading, feeding, return_exceptions=True)
        return Completed(status, bytes(out).decode(errors="replace"), self.stderr())

    def stderr(self) -> str:
        return self._errors.decode(errors="replace")

    async def settled(self) -> None:
        """Waits a little for the last of stderr."""
        await asyncio.wait([self._listening], timeout=PATIENCE_S)

    async def end(self) -> None:
        """Kills what is left and gives the channel back."""
        with contextlib.suppress(Lost, TimeoutError, asyncio.CancelledError):
            if self._beating is not None and not self.exit.done():
                async with asyncio.timeout(PATIENCE_S):
                    await self.signal(signal.SIGKILL)
                    await asyncio.wait([self._listening])
        for task in (self._beating, self._listening):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(t for t in (self._beating, self._listening) if t is not None), return_exceptions=True)
        for future in (self._up, self.exit):
            if future.done():
                future.exception()  # seen
            else:
                future.cancel()
        await self._channel.close()

    async def _feed_all(self, stdin: bytes) -> None:
        with contextlib.suppress(Lost):  # whoever reads the output meets the same loss
            await self.feed(stdin)
            await self.feed_end()

    async def _collect(self, out: bytearray) -> None:
        while part := await self.read():
            out += part
            if len(out) > OUTPUT_LIMIT:
                raise _too_much(self.program)

    async def _order(self, frame: bytes) -> None:
        if self.exit.done():
            return
        try:
            await self._channel.write(frame)
        except Lost:
            await self.settled()  # its end may be on the way
            if not self.exit.done() or self.exit.exception() is not None:
                raise

    async def _beat(self) -> None:
        with contextlib.suppress(Lost):
            while True:
                await asyncio.sleep(BEAT_S)
                await self._order(b"H\n")

    async def _listen(self) -> None:
        """Reads stderr all the time (a full window would stop the program) and takes our own words out."""
        reason = "the connection was cut"
        try:
            while part := await self._channel.read_error():
                start = max(0, len(self._errors) - 1024)
                self._errors += part
                while found := self._token.search(self._errors, start):
                    self._heard(found[1], (found[2] or b"").decode(errors="replace"))
                    del self._errors[found.start() : found.end()]
                if len(self._errors) > self._limit:
                    if not self._tail_only and not self.exit.done():
                        self.exit.set_exception(_too_much(self.program))
                    del self._errors[: -self._limit]
        except Lost as lost:
            reason = str(lost)
        finally:
            for future in (self._up, self.exit):
                if not future.done():
                    future.set_exception(Lost(reason))

    def _heard(self, word: bytes, rest: str) -> None:
        if word == b"exit" and not self.exit.done():
            self.exit.set_result(int(rest) if re.fullmatch(r"-?\d{1,4}", rest) else 1)
        if word in (b"up", b"no") and not self._up.done():
            self._up.set_result("" if word == b"up" else rest or "it is missing")
        if word == b"no" and not self.exit.done():
            self.exit.set_result(127)


def _too_much(program: str) -> DeviceError:
    return DeviceError(f"{program} wrote more than {OUTPUT_LIMIT >> 20} MiB.", "Make it say less.")
