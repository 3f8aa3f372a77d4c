"""The connections to one device: made again when lost, with growing pauses, and never with more channels
than the server allows.

A server drops connections at random while too many log in (MaxStartups), and gives one connection only so
many channels (MaxSessions, ten unless set): both are ordinary, and neither is an error of the user.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from edgewright.core.errors import DeviceError
from edgewright.transports.carrier import Carrier, Channel, Full, Line, Lost

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Between attempts to connect; each is stretched by up to a half, so that many hosts do not knock together."""
PATIENCE_S = 120.0
"""After so long no further attempt is begun."""
CHANNELS = 8
"""Per connection; OpenSSH allows ten unless told otherwise."""
OPEN_S = 60.0
"""For a channel on a connection that is there; one that takes longer goes nowhere any more."""
LINES = 8
"""Connections to one device, at most."""

Opening = Callable[[Line], Awaitable[Channel]]


class Lines:
    def __init__(self, carrier: Carrier, address: str) -> None:
        self._carrier, self._address = carrier, address
        self._lines: dict[Line, _Use] = {}
        self._lock = asyncio.Lock()
        self._closed = False

    async def channel(self, opening: Opening) -> Channel:
        """A channel on a connection with room. DeviceError where the device cannot be reached."""
        begun = time.monotonic()
        for pause in (*PAUSES_S, None):
            try:
                async with self._lock:
                    return await self._open(opening)
            except Lost as lost:
                if pause is None or self._closed or time.monotonic() - begun > PATIENCE_S:
                    raise DeviceError(
                        f"{self._address} cannot be reached: {lost}.", "Check that it is on and its network works."
                    ) from None
                await asyncio.sleep(pause * (1 + random.random() / 2))
        raise AssertionError("unreachable")

    async def drop(self, channel: Channel) -> None:
        """Gives up the connection that carries this channel: it is there, and nothing comes over it."""
        for line, use in list(self._lines.items()):
            if isinstance(channel, _Counted) and channel.use is use:
                self._lines.pop(line, None)
                await line.close()

    async def close(self) -> None:
        self._closed = True
        for line in list(self._lines):
            await line.close()
        self._lines.clear()

    async def _open(self, opening: Opening) -> Channel:
        if self._closed:
            raise DeviceError(f"The link to {self._address} is closed.", "Open it again.")
        for line in [line for line in self._lines if not line.alive()]:
            self._lines.pop(line, None)
            await line.close()
        while True:
            line, use = await self._with_room()
            try:
                async with asyncio.timeout(OPEN_S):
                    return _Counted(await opening(line), use)
            except TimeoutError:
                self._lines.pop(line, None)  # it may have been dropped meanwhile
                await line.close()
                raise Lost("it does not answer any more") from None
            except Full:
                if not use.channels:
                    raise DeviceError(
                        f"{self._address} lets nobody run programs over a connection.",
                        "Set MaxSessions of its SSH server to 1 or more.",
                    ) from None
                use.limit = use.channels

    async def _with_room(self) -> tuple[Line, _Use]:
        for line, use in self._lines.items():
            if use.channels < use.limit:
                return line, use
        if len(self._lines) >= LINES:
            raise DeviceError(
                f"Too many programs run on {self._address} at once.", "Compare fewer candidates, or raise MaxSessions."
            )
        line = await self._carrier.dial()
        self._lines[line] = _Use()
        return line, self._lines[line]


class _Use:
    """How many channels of a connection are taken, and how many it may have."""

    def __init__(self) -> None:
        self.channels, self.limit = 0, CHANNELS


class _Counted:
    """A channel that gives its place back when it is closed."""

    def __init__(self, channel: Channel, use: _Use) -> None:
        self._channel, self.use, self._held = channel, use, True
        self.use.channels += 1
        self.write, self.read, self.read_error = channel.write, channel.read, channel.read_error

    async def close(self) -> None:
        if self._held:
            self._held = False
            self.use.channels -= 1
        await self._channel.close()
