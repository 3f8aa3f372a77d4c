"""Connections by the system's `ssh`: one process holds the connection, one more for every program over it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from pathlib import Path

from edgewright.core.errors import ConfigError, DeviceError
from edgewright.transports import known_hosts
from edgewright.transports.address import Address
from edgewright.transports.carrier import Channel, Lost
from edgewright.transports.openssh import config

CONNECT_S = 60.0
CLOSE_S = 3.0
POLL_S = 0.02
SSH_FAILED = 255
"""ssh's own exit status; our program on the device never ends with it."""

_TRANSIENT = re.compile(
    r"(kex_exchange_identification|banner exchange|timed out|closed by|reset by|broken pipe|MaxStartups)", re.I
)


class Dialler:
    def __init__(self, address: Address) -> None:
        self._address = address

    async def dial(self) -> Master:
        """DeviceError for a host key that is unknown or has changed and for a refused login; else Lost."""
        ssh = shutil.which("ssh")
        if ssh is None:
            raise ConfigError("There is no ssh on this machine.", "Install OpenSSH's client, or write ssh://.")
        folder = Path(tempfile.mkdtemp(prefix="edgewright-"))  # short: a socket's path has room for a hundred bytes
        try:
            await config.write(self._address, folder, ssh)
            master = Master(self._address, ssh, folder)
            await master.connect()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return master


class Master:
    """One connection, held by an ssh process of its own."""

    def __init__(self, address: Address, ssh: str, folder: Path) -> None:
        self._address, self._folder = address, folder
        self._log, self._socket = folder / "log", folder / "socket"
        self._base = [ssh, "-F", str(folder / "config"), "-E", str(self._log), "-S", str(self._socket)]
        self._process: asyncio.subprocess.Process | None = None

    async def connect(self) -> None:
        null = asyncio.subprocess.DEVNULL
        # Not `-N`: a program that waits for the end of its input ends the connection if we are killed.
        argv = [*self._base, "-o", "ControlMaster=yes", *config.words(self._address), "exec cat"]
        with self._log.open("ab") as log:  # where the ssh of a jump host speaks
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=null, stderr=log, start_new_session=True
            )
        try:
            async with asyncio.timeout(CONNECT_S):
                while not self._socket.exists():
                    if self._process.returncode is not None:
                        raise self._reason()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            await self.close()
            raise Lost("it does not answer") from None
        except BaseException:
            await self.close()
            raise

    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def run(self, command: str) -> Channel:
        return await self._channel([*config.words(self._address), command], errors=True)

    async def subsystem(self, name: str) -> Channel:
        return await self._channel(["-s", *config.words(self._address), name], errors=False)

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), CLOSE_S)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _channel(self, words: list[str], errors: bool) -> Channel:
        if not self.alive():
            raise Lost("the connection was cut")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._base, "-o", "ControlMaster=no", *words, stdin=pipe, stdout=pipe,
            stderr=pipe if errors else asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return ProcessChannel(process)

    def _reason(self) -> Lost | DeviceError:
        """Why ssh gave up, from its own words."""
        try:
            said = self._log.read_text(errors="replace")
        except OSError:
            said = ""
        address = _whose(said, self._address)
        fingerprint = (re.findall(r"SHA256:[A-Za-z0-9+/]{43}", said) or [""])[0]
        last = (said.strip().splitlines() or ["ssh gave no reason"])[-1][:300]
        if "IDENTIFICATION HAS CHANGED" in said:
            return known_hosts.changed(address, fingerprint)
        if "revoked" in said:
            return DeviceError(f"The host key of {address} was revoked.", "Ask whoever looks after the device.")
        if "Host key verification failed" in said or "host key is known" in said:
            return known_hosts.unknown(address, fingerprint)
        if "Permission denied" in said or "Too many authentication failures" in said:
            return known_hosts.refused(address)
        if _TRANSIENT.search(said):
            return Lost(last)
        return DeviceError(f"{address} cannot be reached: {last}.", "Check the address, and that it is on.")


def _whose(said: str, address: Address) -> str:
    """The address of the host that failed: of a jump host, where the way to the device broke off after its words."""
    hop = re.search(
        r"host key is known for (\S+) and|Host key for (\S+) has changed|^(\S+): Permission denied", said, re.M
    )
    if hop is None or "kex_exchange_identification" not in said:
        return str(address)
    name = next(part for part in hop.groups() if part)
    return f"{address.scheme}://{re.sub(r'[][]', '', name)}"


class ProcessChannel:
    """A program of the device as the pipes of a local ssh process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except OSError:
            raise Lost("the connection was cut") from None

    async def read(self) -> bytes:
        assert self._process.stdout is not None
        return await self._read(self._process.stdout)

    async def read_error(self) -> bytes:
        if self._process.stderr is None:
            return b""
        return await self._read(self._process.stderr)

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._process.communicate()

    async def _read(self, stream: asyncio.StreamReader) -> bytes:
        part = await stream.read(1 << 16)
        if not part and await self._process.wait() == SSH_FAILED:
            raise Lost("the connection was cut")
        return part
