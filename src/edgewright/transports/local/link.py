"""The open link to this machine. Programs run in a process group of their own, so that a time-out
ends their children too; what they print is bounded, because a device's output is not to be trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright.core.contracts import Completed, Process, Stat
from edgewright.core.errors import DeviceError
from edgewright.transports.local.files import copy
from edgewright.transports.local.process import LocalProcess, drain

OUTPUT_LIMIT = 64 << 20
"""Bytes of stdout or of stderr that one program may write before it is ended."""


class LocalLink:
    address = "local"
    shares_files = True

    def __init__(self, root: str) -> None:
        self.root = root
        self.scratch = str(Path(root) / "scratch")
        self.python = sys.executable
        self._processes: list[LocalProcess] = []
        self._closed = False

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        """Runs a program to its end. DeviceError if it is missing, over `timeout_s` or over OUTPUT_LIMIT."""
        child = await self._spawn(argv, env)
        try:
            return await asyncio.wait_for(_communicate(child, stdin.encode(), argv[0]), timeout_s)
        except TimeoutError:
            raise DeviceError(
                f"{argv[0]} did not end within {timeout_s:g} s.", "Look at what keeps the device busy, then try again."
            ) from None
        finally:
            await _end_group(child)

    async def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        process = LocalProcess(await self._spawn(argv, env), str(argv[0]))
        self._processes.append(process)
        return process

    async def put(self, local: Path, remote: str) -> None:
        await self._copy(Path(local), self._path(remote))

    async def get(self, remote: str, local: Path) -> None:
        await self._copy(self._path(remote), Path(local))

    async def stat(self, remote: str) -> Stat | None:
        self._check_open()
        try:
            found = self._path(remote).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise DeviceError(f"{remote!r} cannot be looked at: {error}.", "Check its name and rights.") from None
        is_dir = stat.S_ISDIR(found.st_mode)
        return Stat(0 if is_dir else found.st_size, is_dir)

    async def close(self) -> None:
        self._closed = True
        while self._processes:
            await self._processes.pop().stop()

    async def _copy(self, source: Path, destination: Path) -> None:
        self._check_open()
        try:
            await asyncio.to_thread(copy, source, destination)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DeviceError(
                f"{source} could not be copied to {destination}: {reason}.", "Check its name, the rights and the disk."
            ) from None

    def _path(self, remote: str) -> Path:
        """A relative path is under the root; `root / absolute` is the absolute one."""
        return Path(self.root) / remote

    async def _spawn(self, argv: Sequence[str], env: Mapping[str, str] | None) -> asyncio.subprocess.Process:
        self._check_open()
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                *map(str, argv), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
                env={**os.environ, **(env or {})}, limit=OUTPUT_LIMIT,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DeviceError(
                f"{argv[0]!r} cannot be started here: {reason}.", "Check that it is installed and may be run."
            ) from None

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("The link to this machine is closed.", "Open it again.")


async def _communicate(child: asyncio.subprocess.Process, stdin: bytes, program: str) -> Completed:
    assert child.stdin and child.stdout and child.stderr
    out, err, status, _ = await asyncio.gather(
        _bounded(child.stdout, program), _bounded(child.stderr, program), child.wait(), _feed(child.stdin, stdin)
    )
    return Completed(status, out.decode(errors="replace"), err.decode(errors="replace"))


async def _bounded(stream: asyncio.StreamReader, program: str) -> bytes:
    parts, size = [], 0
    while part := await stream.read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > OUTPUT_LIMIT:
            raise DeviceError(f"{program} wrote more than {OUTPUT_LIMIT >> 20} MiB.", "Make it say less.")
    return b"".join(parts)


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    # A program may end without reading its input; that is no error.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _end_group(child: asyncio.subprocess.Process) -> None:
    """Kills what is left of the program's group when it did not end by itself, and empties its pipes."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
    assert child.stdout and child.stderr
    for stream in (child.stdout, child.stderr):
        await drain(stream)
