"""A program that stays up and speaks lines. Its stderr is read all the time (a full pipe would stop
it) and only the tail is kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from edgewright.core.errors import DeviceError

TAIL = 1 << 16
"""Bytes of stderr kept."""
PATIENCE_S = 3.0
"""How long each step of `stop` waits before the next, harder one."""


class LocalProcess:
    def __init__(self, child: asyncio.subprocess.Process, program: str) -> None:
        assert child.stdin and child.stdout and child.stderr
        self._child, self._program = child, program
        self._stdin, self._stdout = child.stdin, child.stdout
        self._tail = bytearray()
        self._drain = asyncio.create_task(self._read_stderr(child.stderr))

    async def write_line(self, line: str) -> None:
        """DeviceError when the program has ended. A line feed inside `line` is refused."""
        if "\n" in line:
            raise DeviceError(f"A line for {self._program} holds a line feed.", "Send it as two lines.")
        try:
            self._stdin.write(line.encode() + b"\n")
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise DeviceError(f"{self._program} has ended: {await self._last_words()}.", "Start it again.") from None

    async def read_line(self, timeout_s: float | None = None) -> str:
        """The next line without its line feed, "" at the end. DeviceError on time-out or an endless line."""
        try:
            line = await asyncio.wait_for(self._stdout.readline(), timeout_s)
        except TimeoutError:
            raise DeviceError(f"{self._program} said nothing for {timeout_s:g} s.", "Look at its log.") from None
        except ValueError:
            raise DeviceError(f"{self._program} wrote a line without end.", "Look at what it writes.") from None
        return line.decode(errors="replace").rstrip("\n")

    async def stderr_tail(self) -> str:
        await asyncio.sleep(0)
        return self._tail.decode(errors="replace")

    async def stop(self) -> int:
        """End of input first, then SIGTERM, then SIGKILL, to the whole group. Its exit status."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._stdin.close()
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                self._signal(sign)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._child.wait(), PATIENCE_S)
                break
        # Children of the program may outlive it and hold its pipes.
        self._signal(signal.SIGKILL)
        await asyncio.wait([self._drain], timeout=PATIENCE_S)
        self._drain.cancel()
        await drain(self._stdout)
        assert self._child.returncode is not None
        return self._child.returncode

    async def _read_stderr(self, stream: asyncio.StreamReader) -> None:
        while part := await stream.read(1 << 16):
            self._tail += part
            del self._tail[:-TAIL]

    async def _last_words(self) -> str:
        await asyncio.wait([self._drain], timeout=PATIENCE_S)
        lines = (await self.stderr_tail()).strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def _signal(self, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, sign)


async def drain(stream: asyncio.StreamReader) -> None:
    """Reads to the end of a dead program's pipe, so that the event loop can close it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while await stream.read(1 << 16):
                pass
