"""Connections by asyncssh: through the jump hosts, with every host's key checked against what is known."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from edgewright.core.errors import DeviceError
from edgewright.transports import known_hosts
from edgewright.transports.address import Address
from edgewright.transports.carrier import Channel, Full, Lost
from edgewright.transports.ssh.settings import Settings, knows, library, settings

CLOSE_S = 3.0


class Dialler:
    """Makes authenticated connections to one address. `extra` goes to the last connection (enrolment's password)."""

    def __init__(self, address: Address, **extra: Any) -> None:
        self._address, self._extra = address, extra

    async def dial(self) -> AsyncsshLine:
        """DeviceError for a host key that is unknown or has changed and for a refused login; else Lost."""
        last = await asyncio.to_thread(settings, self._address)
        chain: list[Any] = []
        try:
            for hop in last.jumps:
                found = await asyncio.to_thread(settings, hop, via=self._address)
                chain.append(await connect(hop, found, chain[-1] if chain else None))
            chain.append(await connect(self._address, last, chain[-1] if chain else None, **self._extra))
        except BaseException:
            for connection in reversed(chain):
                connection.abort()
            raise
        return AsyncsshLine(chain)


async def connect(address: Address, found: Settings, tunnel: Any, **extra: Any) -> Any:
    """One asyncssh connection. Errors as of `dial`."""
    asyncssh = library()
    shown: list[Any] = []

    class Owner(asyncssh.SSHClient):  # type: ignore[misc, name-defined]
        def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
            shown.append(key)  # never accepted: only noted, so that the user can be told
            return False

    options = {**found.options, "tunnel": tunnel, "client_factory": Owner, **extra}
    try:
        return await asyncssh.connect(**options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise _host_key(address, found, shown, str(error)) from None
    except asyncssh.PermissionDenied:
        raise known_hosts.refused(str(address)) from None
    except asyncssh.KeyExchangeFailed as error:
        raise DeviceError(
            f"{address} and we have no cipher or key type in common: {error.reason}.", "Update its SSH server."
        ) from None
    except asyncssh.KeyImportError as error:
        raise DeviceError(f"A key for {address} cannot be read: {error}.", "Name another with ?identity=.") from None
    except (asyncssh.ConnectionLost, asyncssh.DisconnectError) as error:
        raise Lost(f"it ended the connection before the login ({error.reason})") from None
    except asyncssh.ChannelOpenError as error:
        raise Lost(f"the jump host could not connect to it ({error.reason})") from None
    except TimeoutError:
        raise Lost("it does not answer") from None
    except ConnectionResetError:
        raise Lost("it ended the connection before the login") from None
    except OSError as error:
        raise DeviceError(
            f"{address} cannot be reached: {error.strerror or error}.", "Check the address, and that it is on."
        ) from None


def _host_key(address: Address, found: Settings, shown: list[Any], reason: str) -> DeviceError:
    fingerprint = shown[-1].get_fingerprint() if shown else ""
    if "revoked" in reason:
        return DeviceError(f"The host key of {address} was revoked.", "Ask whoever looks after the device.")
    if knows(found.trusted, found.name, found.port):
        return known_hosts.changed(str(address), fingerprint)
    return known_hosts.unknown(str(address), fingerprint)


class AsyncsshLine:
    """The last of a chain of connections, and the jump hosts that carry it."""

    def __init__(self, chain: list[Any]) -> None:
        self._chain = chain

    def alive(self) -> bool:
        return not any(connection.is_closed() for connection in self._chain)

    async def run(self, command: str) -> Channel:
        return await self._channel(command=command)

    async def subsystem(self, name: str) -> Channel:
        return await self._channel(subsystem=name)

    async def close(self) -> None:
        for connection in reversed(self._chain):
            connection.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.wait_closed(), CLOSE_S)
                continue
            connection.abort()

    async def _channel(self, **what: Any) -> Channel:
        asyncssh = library()
        try:
            return AsyncsshChannel(*await self._chain[-1].open_session(encoding=None, **what))
        except asyncssh.ChannelOpenError as error:
            if self.alive():
                raise Full(error.reason) from None
            raise Lost("the connection was cut") from None
        except (asyncssh.Error, OSError) as error:
            raise Lost(getattr(error, "reason", "") or str(error) or "the connection was cut") from None


class AsyncsshChannel:
    def __init__(self, writer: Any, reader: Any, errors: Any) -> None:
        self._writer, self._reader, self._errors = writer, reader, errors

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (library().Error, OSError) as error:
            raise Lost(str(error) or "the connection was cut") from None

    async def read(self) -> bytes:
        return await _read(self._reader)

    async def read_error(self) -> bytes:
        return await _read(self._errors)

    async def close(self) -> None:
        with contextlib.suppress(library().Error, OSError, TimeoutError):
            self._writer.channel.abort()
            await asyncio.wait_for(self._writer.channel.wait_closed(), CLOSE_S)


async def _read(reader: Any) -> bytes:
    try:
        return bytes(await reader.read(1 << 16))
    except (library().Error, OSError) as error:
        raise Lost(getattr(error, "reason", "") or str(error) or "the connection was cut") from None
