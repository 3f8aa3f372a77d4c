"""What only the local member can show: real processes and real, interrupted files."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from edgewright.core.errors import DeviceError
from edgewright.transports.local import MEMBER, files
from edgewright.transports.local import link as link_module


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _alive(pid)


def test_a_time_out_ends_the_grandchildren_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )

    async def story() -> None:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        with pytest.raises(DeviceError, match="did not end"):
            await link.run([link.python, "-c", code], timeout_s=1.5)

    asyncio.run(story())
    assert _wait_gone(int(note.read_text()))


def test_a_cancelled_run_ends_its_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    async def story() -> None:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        job = asyncio.create_task(link.run([link.python, "-c", code]))
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0.02)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(story())
    assert _wait_gone(int(note.read_text()))


def test_stop_ends_a_program_that_ignores_politeness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.transports.local.process.PATIENCE_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"

    async def story() -> int:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        process = await link.start([link.python, "-c", code])
        assert await process.read_line(20) == "up"
        return await process.stop()

    assert asyncio.run(story()) == -signal.SIGKILL


def test_writing_to_a_dead_program_says_its_last_words(tmp_path: Path) -> None:
    async def story() -> None:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        process = await link.start([link.python, "-c", "import sys; sys.exit('no such model')"])
        assert await process.read_line(20) == ""
        with pytest.raises(DeviceError, match="no such model"):
            for _ in range(50):
                await process.write_line("x" * 100_000)
        assert await process.stop() == 1

    asyncio.run(story())


def test_endless_output_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "OUTPUT_LIMIT", 1 << 20)

    async def story() -> None:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        with pytest.raises(DeviceError, match="wrote more than 1 MiB"):
            await link.run([link.python, "-c", "while True: print('x' * 100000)"], timeout_s=60)
        process = await link.start([link.python, "-c", "while True: print('x' * 100000, end='')"])
        with pytest.raises(DeviceError, match="line without end"):
            await process.read_line(60)
        await process.stop()

    asyncio.run(story())


@pytest.mark.parametrize("there", [b"", b"AAAA", b"B" * 3_000_000, None], ids=["empty", "foreign", "longer", "cut"])
def test_a_cut_copy_ends_with_the_source_content(tmp_path: Path, there: bytes | None) -> None:
    content = os.urandom(files.CHUNK * 2 + 17)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / ".b.part").write_bytes(content[: files.CHUNK + 5] if there is None else there)
    files.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content
    assert not (tmp_path / ".b.part").exists()


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    files.copy(tmp_path / "a", tmp_path / "b")
    inode = (tmp_path / "b").stat().st_ino
    files.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == inode


def test_a_null_byte_in_a_name_is_a_device_error(tmp_path: Path) -> None:
    async def story() -> None:
        link = await MEMBER.open("local", root=str(tmp_path / "device"))
        (tmp_path / "a").write_text("x")
        for attempt in (link.put(tmp_path / "a", "bad\0name"), link.stat("bad\0name"), link.run(["ls", "a\0b"])):
            with pytest.raises(DeviceError):
                await attempt

    asyncio.run(story())
