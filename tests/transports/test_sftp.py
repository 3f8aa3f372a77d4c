"""An SFTP server that lies: whatever it sends, nothing is written where it should not be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.transports import sftp as sftp_module
from edgewright.transports.carrier import Lost
from edgewright.transports.sftp import Sftp, SftpError
from edgewright.transports.transfer import Copier

SERVER = next((p for p in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server") if Path(p).exists()), "")
VERSION = struct.pack(">IBI", 5, 2, 3)


class Scripted:
    """A channel whose other end says what it was told to, one piece for every request."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self._asked = asyncio.Semaphore(0)

    async def write(self, data: bytes) -> None:
        self._asked.release()

    async def read(self) -> bytes:
        if not self._pieces:
            return b""
        await self._asked.acquire()
        return self._pieces.pop(0)

    async def read_error(self) -> bytes:
        return b""

    async def close(self) -> None: ...


class Piped:
    """The system's own SFTP server as a child, spoken to directly."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    async def write(self, data: bytes) -> None:
        assert self._child.stdin
        self._child.stdin.write(data)
        await self._child.stdin.drain()

    async def read(self) -> bytes:
        assert self._child.stdout
        return await self._child.stdout.read(1 << 16)

    async def read_error(self) -> bytes:
        return b""

    async def close(self) -> None:
        self._child.kill()
        await self._child.wait()


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _answer(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack(">IBI", len(body) + 5, kind, number) + body


def _status(number: int, code: int) -> bytes:
    return _answer(101, number, struct.pack(">I", code) + _string(b"") * 2)


def _names(*names: bytes) -> bytes:
    one = [_string(name) + _string(b"-") + struct.pack(">III", 4, 0o100644, 0)[:8] for name in names]
    return struct.pack(">I", len(names)) + b"".join(one)


async def _digest(path: bytes) -> str:
    return ""


@pytest.mark.parametrize("name", [b"../escaped", b"/etc/passwd", b"a/b", b"", b"nul\0"])
def test_a_listed_name_that_is_a_path_is_refused(tmp_path: Path, name: bytes) -> None:
    folder = struct.pack(">II", 4, 0o040755)

    async def story() -> None:
        channel = Scripted(
            VERSION, _answer(105, 1, folder), _answer(102, 2, _string(b"h")), _answer(104, 3, _names(name)),
            _status(4, 1), _status(5, 0),
        )  # fmt: skip
        sftp = await Sftp.over(channel)
        with pytest.raises(OSError, match="lists a file called"):
            await Copier(_digest).get(sftp, "/there", tmp_path / "back")
        await sftp.close()

    asyncio.run(story())
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.sampled_from([101, 102, 103, 104, 105, 201]))
def test_a_broken_answer_is_a_loss_or_a_refusal(body: bytes, kind: int) -> None:
    async def story() -> None:
        for ask in ("stat", "list", "read", "free"):
            sftp = await Sftp.over(Scripted(VERSION, _answer(kind, 1, body), _answer(kind, 2, body)))
            work = {
                "stat": lambda s=sftp: s.stat(b"x"),
                "list": lambda s=sftp: s.list_folder(b"x", 10),
                "read": lambda s=sftp: s.read(b"h", 0, 10),
                "free": lambda s=sftp: s.free(b"x"),
            }[ask]
            with contextlib.suppress(Lost, SftpError):
                await work()
            await sftp.close()

    asyncio.run(story())


@pytest.mark.parametrize("first", [b"", b"Welcome to the board!\n", struct.pack(">IB", 1 << 30, 2), VERSION[:4]])
def test_what_is_no_sftp_server_is_told(first: bytes) -> None:
    async def story() -> None:
        with pytest.raises(Lost, match="SFTP"):
            await Sftp.over(Scripted(first))

    asyncio.run(story())


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_module, "TIMEOUT_S", 0.1)

    class Silent(Scripted):
        async def read(self) -> bytes:
            return await super().read() if self._pieces else await asyncio.sleep(60, b"")

    async def story() -> None:
        sftp = await Sftp.over(Silent(VERSION))
        with pytest.raises(Lost, match="said nothing"):
            await sftp.stat(b"x")
        assert sftp.silent and not sftp.alive
        with pytest.raises(Lost):
            await sftp.stat(b"x")
        await sftp.close()

    asyncio.run(story())


def test_it_agrees_with_the_system_s_own_server(tmp_path: Path) -> None:
    if not SERVER:
        pytest.skip("no sftp-server here: run sh tools/system-packages.sh")

    async def story() -> None:
        pipe = asyncio.subprocess.PIPE
        sftp = await Sftp.over(Piped(await asyncio.create_subprocess_exec(SERVER, stdin=pipe, stdout=pipe)))
        root = os.fsencode(tmp_path)
        assert await sftp.stat(root + b"/none") is None
        await sftp.make_folder(root + b"/new")
        handle = await sftp.open(root + b"/new/a", 2 | 8 | 16, 0o600)
        await asyncio.gather(*(sftp.write(handle, 1000 * i, bytes([i]) * 1000) for i in range(20)))
        await sftp.fsync(handle)
        await sftp.set_mode(handle, 0o755)
        await sftp.close_handle(handle)
        (tmp_path / "new/b").write_text("old")
        await sftp.replace(root + b"/new/a", root + b"/new/b")
        found = await sftp.stat(root + b"/new/b")
        assert found is not None and (found.size, found.mode & 0o777) == (20_000, 0o755)
        assert [name for name, _ in await sftp.list_folder(root + b"/new", 10)] == [b"b"]
        with pytest.raises(OSError, match="more than 0 names"):
            await sftp.list_folder(root + b"/new", 0)
        usage = shutil.disk_usage(tmp_path)
        assert abs(await sftp.free(root) - usage.free) < usage.total / 10
        with pytest.raises(SftpError) as told:
            await sftp.make_folder(root + b"/new")
        assert told.value.code == sftp_module.FAILURE
        await sftp.close()

    asyncio.run(story())
    assert (tmp_path / "new/b").read_bytes() == b"".join(bytes([i]) * 1000 for i in range(20))
