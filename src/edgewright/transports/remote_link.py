"""The open link to a device behind SSH, the same for every way of making the connection.

What may be done twice without harm (files) is done again when the connection was lost, going on where it
stopped; a program is never started twice.
"""

from __future__ import annotations

import asyncio
import posixpath
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from edgewright.core.contracts import Completed, Process, Stat
from edgewright.core.errors import DeviceError
from edgewright.transports.address import Address
from edgewright.transports.carrier import Carrier, Channel, Lost
from edgewright.transports.interpreter import Interpreter, find
from edgewright.transports.lines import PAUSES_S, Lines
from edgewright.transports.remote_process import RemoteProcess
from edgewright.transports.session import Session, command
from edgewright.transports.sftp import Attributes, Sftp, SftpError, encoded
from edgewright.transports.transfer import Copier

T = TypeVar("T")

FOLDER = ".edgewright"
"""Where releases live under the user's home unless `root:` says otherwise."""
DIGEST_S = 600.0
"""How long a device may take to read one file."""
DIGEST = (
    "import hashlib, sys\n"
    "total = hashlib.sha256()\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    for part in iter(lambda: file.read(1 << 20), b''): total.update(part)\n"
    "print(total.hexdigest())"
)


async def open_link(address: Address, carrier: Carrier, root: str) -> RemoteLink:
    """Connects and finds the interpreter. DeviceError where the device cannot be reached or has no Python."""
    lines = Lines(carrier, str(address))
    try:
        interpreter = await find(lines, address)
    except BaseException:
        await lines.close()
        raise
    return RemoteLink(address, lines, interpreter, root)


class RemoteLink:
    shares_files = False

    def __init__(self, address: Address, lines: Lines, interpreter: Interpreter, root: str) -> None:
        self.address = str(address)
        self.python, self.home = interpreter.path, interpreter.home
        root = posixpath.join(self.home, root[2:]) if root.startswith("~/") else root
        self.root = posixpath.normpath(posixpath.join(self.home, root or FOLDER))
        self.scratch = posixpath.join(self.root, "scratch")
        self._lines = lines
        self._sftp: Sftp | None = None
        self._sftp_lock = asyncio.Lock()
        self._copier = Copier(self._digest, address.bandwidth)
        self._processes: list[RemoteProcess] = []
        self._closed = False

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        """Runs a program to its end. DeviceError if it is missing, over `timeout_s` or over OUTPUT_LIMIT, or if the
        connection goes; whatever it started in its process group has ended then."""
        try:
            return await self._run_once(argv, stdin, env, timeout_s)
        except Lost as lost:
            raise DeviceError(
                f"The connection to {self.address} was lost while {argv[0]} ran: {lost}.",
                "Try again when the device can be reached; its program was ended.",
            ) from None

    async def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        try:
            session = await self._begin(argv, env, stays=True)
        except Lost as lost:
            raise DeviceError(f"The connection to {self.address} was lost: {lost}.", "Try again.") from None
        process = RemoteProcess(session, self.address, self._forget)
        self._processes.append(process)
        return process

    async def put(self, local: Path, remote: str) -> None:
        place = self._path(remote)
        await self._copy(f"{local} could not be put on {self.address} as {remote!r}",
                         lambda sftp: self._copier.put(sftp, Path(local), place))  # fmt: skip

    async def get(self, remote: str, local: Path) -> None:
        place = self._path(remote)
        await self._copy(f"{remote!r} could not be fetched from {self.address}",
                         lambda sftp: self._copier.get(sftp, place, Path(local)))  # fmt: skip

    async def stat(self, remote: str) -> Stat | None:
        """DeviceError where the device will not say. A path through a file that is no folder has nothing there."""
        place = encoded(self._path(remote))

        async def look(sftp: Sftp) -> Attributes | None:
            try:
                return await sftp.stat(place)
            except SftpError:
                above = await sftp.stat(posixpath.dirname(place))
                if above is not None and above.mode & 0o170000 != 0o040000:
                    return None
                raise

        found = await self._copy(f"{remote!r} cannot be looked at on {self.address}", look)
        if found is None:
            return None
        is_dir = found.mode & 0o170000 == 0o040000
        return Stat(0 if is_dir else found.size, is_dir)

    async def close(self) -> None:
        self._closed = True
        for process in list(self._processes):
            await process.stop()
        if self._sftp is not None:
            await self._sftp.close()
            self._sftp = None
        await self._lines.close()

    async def _run_once(
        self, argv: Sequence[str], stdin: str, env: Mapping[str, str] | None, timeout_s: float
    ) -> Completed:
        """Lost where the connection goes."""
        session: Session | None = None
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._begin(argv, env)
                return await session.communicate(stdin.encode())
        except TimeoutError:
            raise DeviceError(
                f"{argv[0]} did not end within {timeout_s:g} s.", "Look at what keeps the device busy, then try again."
            ) from None
        finally:
            if session is not None:
                await session.end()

    async def _begin(self, argv: Sequence[str], env: Mapping[str, str] | None, *, stays: bool = False) -> Session:
        channel = await self._channel(lambda line: line.run(command(self.python)))
        return await Session.begin(channel, argv, env, stays=stays)

    async def _channel(self, opening: Callable[..., Awaitable[Channel]]) -> Channel:
        self._check_open()
        return await self._lines.channel(opening)

    async def _copy(self, what: str, work: Callable[[Sftp], Awaitable[T]]) -> T:
        """Does `work`, again after every loss of the connection. Attempts count anew when bytes were moved."""
        self._check_open()
        failures = fresh = 0
        while True:
            before = self._copier.moved
            try:
                return await work(await self._files())
            except Lost as lost:
                failures = 1 if self._copier.moved > before else failures + 1
                if failures > len(PAUSES_S) or self._closed:
                    raise DeviceError(f"{what}: {lost}.", "Try again; what arrived is not sent again.") from None
                self._copier.forget()
                await asyncio.sleep(PAUSES_S[failures - 1] * (1 + random.random() / 2))
            except SftpError as error:
                raise DeviceError(f"{what}: {error}.", "Check the name, the rights and the disk.") from None
            except (OSError, ValueError) as error:
                fresh += 1
                if fresh > 1 or not getattr(error, "may_pass", False):
                    reason = getattr(error, "strerror", None) or str(error)
                    raise DeviceError(f"{what}: {reason}.", "Check the name, the rights and the disk.") from None

    async def _files(self) -> Sftp:
        async with self._sftp_lock:
            if self._sftp is not None and not self._sftp.alive:
                if self._sftp.silent:
                    await self._lines.drop(self._sftp.channel)
                await self._sftp.close()
                self._sftp = None
            if self._sftp is None:
                channel = await self._channel(lambda line: line.subsystem("sftp"))
                try:
                    self._sftp = await Sftp.over(channel)
                except BaseException:
                    await channel.close()
                    raise
            return self._sftp

    async def _digest(self, path: bytes) -> str:
        """Lost where the connection goes: the copy it is part of is then done again."""
        argv = [self.python, "-I", "-S", "-c", DIGEST, path.decode("utf-8", "surrogateescape")]
        done = await self._run_once(argv, "", None, DIGEST_S)
        return done.stdout.strip() if done.returncode == 0 else ""

    def _path(self, remote: str) -> str:
        """A relative path is under the root, as everywhere."""
        if "\0" in remote:
            raise DeviceError(f"{remote!r} cannot be a name on the device.", "Give a name without a null byte.")
        return posixpath.join(self.root, remote)

    def _forget(self, process: RemoteProcess) -> None:
        if process in self._processes:
            self._processes.remove(process)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"The link to {self.address} is closed.", "Open it again.")
