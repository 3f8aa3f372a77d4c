"""What the SSH members differ in, and no more: how a connection is made and how it carries bytes."""

from __future__ import annotations

from typing import Protocol


class Lost(Exception):
    """The connection has gone, or was never made for a reason that may pass. What was asked may be tried again
    where that does no harm."""


class Full(Exception):
    """The server gives this connection no further channel (MaxSessions)."""


class Channel(Protocol):
    """One program or subsystem of the device. `read` and `read_error` give b"" at the end; all raise Lost."""

    async def write(self, data: bytes) -> None: ...  # waits while the other side does not read
    async def read(self) -> bytes: ...
    async def read_error(self) -> bytes: ...
    async def close(self) -> None: ...  # never raises; may be called twice


class Line(Protocol):
    """One authenticated connection to a device."""

    def alive(self) -> bool: ...
    async def run(self, command: str) -> Channel: ...  # the login shell gets `command`; Lost, Full
    async def subsystem(self, name: str) -> Channel: ...
    async def close(self) -> None: ...  # never raises; may be called twice


class Carrier(Protocol):
    """A way to make connections. DeviceError where trying again cannot help (keys, host keys); else Lost."""

    async def dial(self) -> Line: ...
