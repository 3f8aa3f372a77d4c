"""A program that stays up on a device behind SSH and speaks lines."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from edgewright.core.errors import DeviceError
from edgewright.transports import session as session_module
from edgewright.transports.carrier import Lost
from edgewright.transports.session import Session


class RemoteProcess:
    def __init__(self, session: Session, address: str, ended: Callable[[RemoteProcess], None]) -> None:
        self._session, self._address, self._ended = session, address, ended
        self._buffer = bytearray()
        self._stopped: int | None = None

    async def write_line(self, line: str) -> None:
        """DeviceError when the program has ended. A line feed inside `line` is refused."""
        if "\n" in line:
            raise DeviceError(f"A line for {self._session.program} holds a line feed.", "Send it as two lines.")
        try:
            await self._session.feed(line.encode() + b"\n")
        except Lost as lost:
            raise self._lost(lost) from None
        if self._session.exit.done():
            raise DeviceError(f"{self._session.program} has ended: {await self._last_words()}.", "Start it again.")

    async def read_line(self, timeout_s: float | None = None) -> str:
        """The next line without its line feed, "" at the end. DeviceError on time-out or an endless line."""
        seen = 0
        try:
            async with asyncio.timeout(timeout_s):
                while (end := self._buffer.find(b"\n", seen)) < 0:
                    seen = len(self._buffer)
                    part = await self._session.read()
                    if not part:
                        break
                    self._buffer += part
                    if len(self._buffer) > session_module.OUTPUT_LIMIT:
                        raise DeviceError(
                            f"{self._session.program} wrote a line without end.", "Look at what it writes."
                        )
        except TimeoutError:
            raise DeviceError(
                f"{self._session.program} said nothing for {timeout_s:g} s.", "Look at its log."
            ) from None
        except Lost as lost:
            raise self._lost(lost) from None
        end = len(self._buffer) if end < 0 else end
        line = self._buffer[:end].decode(errors="replace")
        del self._buffer[: end + 1]
        return line

    async def stderr_tail(self) -> str:
        if self._session.exit.done():
            await self._session.settled()
        await asyncio.sleep(0)
        return self._session.stderr()

    async def stop(self) -> int:
        """End of input first, then SIGTERM, then SIGKILL, to the whole group. Its exit status, as Python gives it
        (−9 for SIGKILL); −9 too where the connection went before it could be heard."""
        if self._stopped is None:
            self._stopped = await self._stop()
            self._ended(self)
        return self._stopped

    async def _stop(self) -> int:
        draining = asyncio.create_task(self._drain())  # a full pipe must not keep it from ending
        try:
            for number in (None, signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(TimeoutError):
                    await (self._session.feed_end() if number is None else self._session.signal(number))
                    return await asyncio.wait_for(asyncio.shield(self._session.exit), session_module.PATIENCE_S)
        except Lost:
            pass
        finally:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            await self._session.end()
        return -signal.SIGKILL

    async def _drain(self) -> None:
        with contextlib.suppress(Lost):
            while await self._session.read():
                pass

    async def _last_words(self) -> str:
        lines = (await self.stderr_tail()).strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def _lost(self, lost: Lost) -> DeviceError:
        return DeviceError(
            f"The connection to {self._address} was lost while {self._session.program} ran: {lost}.",
            "Run again when the device can be reached; what is stored is not done twice.",
        )
