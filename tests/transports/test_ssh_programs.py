"""Programs over real SSH: nothing outlives its host, whatever ends the connection."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proxy import Proxy
from sshd import Sshd

from edgewright import transports
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.transports import lines, session

FAMILY = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen(['sleep', '300'])\n"
    "open(sys.argv[1] + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
    "os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
    "print('up', flush=True)\n"
    "time.sleep(300)"
)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


async def _noted(note: Path) -> list[int]:
    """The ids of the program and of its child."""
    while not note.exists():
        await asyncio.sleep(0.02)
    return [int(word) for word in note.read_text().split()]


def _gone(pids: list[int], within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(_alive, pids))


async def _open(device: Sshd, scheme: str, port: int = 0, **options: str) -> Link:
    return await transports.get(scheme).open(device.reach(scheme, port, **options), root=str(device.home / "root"))


def test_the_program_that_is_sent_is_python_3_8() -> None:
    ast.parse((Path(session.__file__).parent / "relay_program.py").read_text(), feature_version=(3, 8))


def test_words_and_variables_arrive_as_they_are(device: Sshd, scheme: str) -> None:
    words = ["", " ", "a b", "'", '"', "$HOME", "`id`", "; exit 3", "*", "\\", "line\nfeed", "ünï", "-n", "!x", "\x1e"]
    variables = {"PLAIN": "1", "ODD": "a\nb '\"$(id)", "EMPTY": ""}
    code = (
        "import json, os, sys; print(json.dumps([sys.argv[1:], {k: os.environ[k] for k in ('PLAIN','ODD','EMPTY')}]))"
    )

    async def story() -> None:
        link = await _open(device, scheme)
        done = await link.run([link.python, "-c", code, *words], env=variables)
        await link.close()
        assert ast.literal_eval(done.stdout) == [words, variables]

    asyncio.run(story())


def test_a_time_out_ends_the_grandchildren_too(device: Sshd, scheme: str, tmp_path: Path) -> None:
    async def story() -> list[int]:
        link = await _open(device, scheme)
        with pytest.raises(DeviceError, match="did not end within"):
            await link.run([link.python, "-c", FAMILY, str(tmp_path / "note")], timeout_s=2)
        pids = await _noted(tmp_path / "note")
        assert _gone(pids)
        await link.close()
        return pids

    asyncio.run(story())


def test_a_cancelled_run_ends_its_program(device: Sshd, usual: str, tmp_path: Path) -> None:
    async def story() -> None:
        link = await _open(device, usual)
        job = asyncio.create_task(link.run([link.python, "-c", FAMILY, str(tmp_path / "note")]))
        pids = await _noted(tmp_path / "note")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert _gone(pids)
        await link.close()

    asyncio.run(story())


@pytest.mark.parametrize("end", ["cut", "kill"])
def test_a_lost_connection_ends_the_program_and_is_told(device: Sshd, scheme: str, tmp_path: Path, end: str) -> None:
    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, scheme, proxy.port)
            process = await link.start([link.python, "-c", FAMILY, str(tmp_path / "note")])
            assert await process.read_line(20) == "up"
            pids = await _noted(tmp_path / "note")
            proxy.cut() if end == "cut" else device.cut()
            with pytest.raises(DeviceError, match="was lost while"):
                await process.read_line(20)
            assert _gone(pids)
            done = await link.run(["echo", "back"])  # the link mends itself
            assert done.stdout == "back\n"
            await process.stop()
            await link.close()

    asyncio.run(story())


def test_a_host_that_goes_silent_is_not_waited_for(
    device: Sshd, usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE_S", 1.5)
    monkeypatch.setattr(session, "PATIENCE_S", 0.2)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            link = await _open(device, usual, proxy.port)
            await link.start([link.python, "-c", FAMILY, str(tmp_path / "note")])
            pids = await _noted(tmp_path / "note")
            proxy.black_hole = True
            assert await asyncio.to_thread(_gone, pids)
            proxy.cut()
            await link.close()

    asyncio.run(story())


def test_a_host_that_is_killed_leaves_nothing_behind(device: Sshd, scheme: str, tmp_path: Path) -> None:
    """kill -9 of the whole tool: the program on the device ends, and so do connections that other processes held."""
    story = (
        "import asyncio, sys\n"
        "from edgewright import transports\n"
        "async def story(scheme, address, note, code):\n"
        "    link = await transports.get(scheme).open(address)\n"
        "    await link.stat('x')\n"
        "    await link.start([link.python, '-c', code, note])\n"
        "    await asyncio.sleep(300)\n"
        "asyncio.run(story(*sys.argv[1:]))"
    )
    before = set(device.sessions())
    words = [scheme, device.reach(scheme), str(tmp_path / "note"), FAMILY]
    host = subprocess.Popen([sys.executable, "-c", story, *words])
    pids = asyncio.run(_noted(tmp_path / "note"))
    host.kill()
    host.wait()
    assert _gone(pids)
    deadline = time.monotonic() + 15
    while set(device.sessions()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not set(device.sessions()) - before


def test_signs_of_life_keep_a_quiet_program_up(device: Sshd, usual: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SILENCE_S", 1.0)
    monkeypatch.setattr(session, "BEAT_S", 0.2)

    async def story() -> None:
        link = await _open(device, usual)
        assert (await link.run(["sleep", "2"])).returncode == 0
        await link.close()

    asyncio.run(story())


def test_stop_ends_a_program_that_ignores_politeness(
    device: Sshd, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE_S", 0.5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"

    async def story() -> int:
        link = await _open(device, scheme)
        process = await link.start([link.python, "-c", code])
        assert await process.read_line(20) == "up"
        status = await process.stop()
        await link.close()
        return status

    assert asyncio.run(story()) == -signal.SIGKILL


def test_a_line_that_comes_late_is_not_lost(device: Sshd, scheme: str) -> None:
    """A time-out of `read_line` leaves the program, and the line, for the next call; long lines come whole."""
    code = "import sys\nfor line in sys.stdin:\n    import time; time.sleep(1); print(line.strip() * 2, flush=True)"

    async def story() -> None:
        link = await _open(device, scheme)
        process = await link.start([link.python, "-c", code])
        long = "y" * 3_000_000
        await process.write_line(long)
        with pytest.raises(DeviceError, match="said nothing"):
            await process.read_line(0.2)
        assert await process.read_line(30) == long * 2
        assert await process.stop() == 0
        with pytest.raises(DeviceError):
            await process.write_line("after the end")
        await link.close()

    asyncio.run(story())


def test_writing_to_a_dead_program_says_its_last_words(device: Sshd, usual: str) -> None:
    async def story() -> None:
        link = await _open(device, usual)
        process = await link.start([link.python, "-c", "import sys; sys.exit('no such model')"])
        assert await process.read_line(20) == ""
        with pytest.raises(DeviceError, match="no such model"):
            for _ in range(50):
                await process.write_line("x" * 100_000)
        assert await process.stop() == 1
        await link.close()

    asyncio.run(story())


def test_endless_output_is_cut(device: Sshd, usual: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "OUTPUT_LIMIT", 1 << 20)

    async def story() -> None:
        link = await _open(device, usual)
        for stream in ("stdout", "stderr"):
            with pytest.raises(DeviceError, match="wrote more than 1 MiB"):
                code = f"import sys\nwhile True: print('x' * 100000, file=sys.{stream})"
                await link.run([link.python, "-c", code], timeout_s=60)
        process = await link.start([link.python, "-c", "while True: print('x' * 100000, end='')"])
        with pytest.raises(DeviceError, match="line without end"):
            await process.read_line(60)
        await process.stop()
        await link.close()

    asyncio.run(story())


def test_a_daemon_that_a_program_leaves_lives_on(device: Sshd, usual: str, tmp_path: Path) -> None:
    """As the supervisor of a service does: a session of its own, and no pipe of ours."""
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60'], start_new_session=True,"
        " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        " open(sys.argv[1], 'w').write(str(p.pid))"
    )

    async def story() -> None:
        link = await _open(device, usual)
        assert (await link.run([link.python, "-c", code, str(note)])).returncode == 0
        await link.close()

    asyncio.run(story())
    pid = int(note.read_text())
    assert _alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_more_programs_than_a_connection_may_have(tmp_path: Path, scheme: str) -> None:
    device = Sshd(tmp_path / "few", options="MaxSessions 2")
    code = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"

    async def story() -> None:
        link = await _open(device, scheme)
        processes = [await link.start([link.python, "-c", code]) for _ in range(5)]
        for number, process in enumerate(processes):
            await process.write_line(f"line {number}")
        assert [await process.read_line(20) for process in processes] == [f"line {n}" for n in range(5)]
        assert [await process.stop() for process in processes] == [0] * 5
        await link.close()

    try:
        asyncio.run(story())
    finally:
        device.stop()


def test_connections_that_are_dropped_at_the_door_are_tried_again(
    device: Sshd, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PAUSES_S", (0.05,) * 5)

    async def story() -> None:
        with Proxy(device.port) as proxy:
            device.trust(proxy.port)
            proxy.refuse = 3
            link = await _open(device, scheme, proxy.port)
            assert (await link.run(["echo", "in"])).stdout == "in\n"
            assert proxy.connections >= 4
            await link.close()
            proxy.refuse = 100
            with pytest.raises(DeviceError, match="cannot be reached"):
                await _open(device, scheme, proxy.port)

    asyncio.run(story())


def test_ten_links_at_once_get_past_a_server_that_lets_few_knock(tmp_path: Path, scheme: str) -> None:
    device = Sshd(tmp_path / "busy", options="MaxStartups 2:100:2\nLogLevel VERBOSE")

    async def enter(number: int) -> str:
        link = await _open(device, scheme)
        try:
            return (await link.run(["echo", f"link {number}"])).stdout
        finally:
            await link.close()

    async def story() -> None:
        assert await asyncio.gather(*map(enter, range(10))) == [f"link {number}\n" for number in range(10)]

    try:
        asyncio.run(story())
        assert "past MaxStartups" in device.log.read_text(), "some were really turned away"
    finally:
        device.stop()


def test_talkative_login_scripts_are_not_taken_for_answers(tmp_path: Path, scheme: str) -> None:
    device = Sshd(
        tmp_path / "talks", options='ForceCommand echo "Welcome!"; echo oops >&2; eval "$SSH_ORIGINAL_COMMAND"'
    )

    async def story() -> None:
        link = await _open(device, scheme)
        done = await link.run(["echo", "mine"])
        assert (done.returncode, done.stdout) == (0, "mine\n")
        await link.close()

    try:
        asyncio.run(story())
    finally:
        device.stop()


def test_a_device_without_a_python_is_told(tmp_path: Path, usual: str) -> None:
    device = Sshd(tmp_path / "bare")

    async def story() -> None:
        with pytest.raises(DeviceError, match=r"no Python 3\.8"):
            await _open(device, usual, python="/nonexistent/python3")

    try:
        asyncio.run(story())
    finally:
        device.stop()
