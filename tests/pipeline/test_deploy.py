"""Deploying to this machine for real: processes, sockets, files, faults."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from board import Board, ask, health

from edgewright.core.config import GoalConfig, ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, DeviceError, RejectedRelease
from edgewright.device import processes
from edgewright.device.journal import STEPS
from edgewright.pipeline.bundle import Bundle, Needs
from edgewright.pipeline.deploy import _release, plan_deploy, refuse_unfit
from edgewright.pipeline.stop import running, stop


def wait_for(condition: Any, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def listed(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def picture(board: Board) -> bytes:
    return board.dataset.samples[0].path.read_bytes()


def test_a_first_deploy_serves_the_bundle(board: Board) -> None:
    bundle = board.bundle()
    release = board.deploy(bundle)
    assert (release.number, release.digest, release.replaced, release.unchanged) == (1, bundle.digest, None, False)
    assert health(release.url)["release"] == bundle.digest
    status, body = ask(release.url + "/infer", picture(board), "image/png")
    assert status == 200 and json.loads(body)["predictions"][0]["label"] == "dog"
    assert release.url.startswith("http://127.0.0.1:") and release.pid == health(release.url)["pid"]
    assert [record["step"] for record in board.journal()] == list(STEPS)
    board.assert_whole()
    assert [service.url for service in running(board.store)] == [release.url]


def test_an_unchanged_release_is_left_alone(board: Board) -> None:
    bundle = board.bundle()
    first = board.deploy(bundle)
    again = board.deploy(bundle)
    assert again.unchanged and (again.pid, again.number, again.url) == (first.pid, first.number, first.url)
    assert again.sent_bytes == 0 and len(board.journal()) == len(STEPS)
    assert again.replay["p95_ms"] == first.replay["p95_ms"] is not None, "an answer that was lost is made good"


WHOLE = {"number": 2, "digest": "d", "url": "http://h:1", "pid": 7, "replaced": "1-c", "gap_ms": 1.5}


@pytest.mark.parametrize(
    "odd",
    [
        {"number": float("inf")},
        {"number": None},
        {"number": [2]},
        {"pid": float("nan")},
        {"gap_ms": float("nan")},
        {"gap_ms": 10**400},
        {"gap_ms": "1.5"},
        {"gap_ms": True},
        {"replay": [1]},
        {"replay": {"p95_ms": "fast"}},
        {"replay": {"p95_ms": {}}},
        {"mended": 5},
    ],
)
def test_numbers_of_a_device_that_cannot_be_reckoned_with_are_refused(odd: dict[str, Any]) -> None:
    link: Any = SimpleNamespace(address="board", root="/device")
    with pytest.raises(DeviceError, match="strange answer"):
        _release(TargetConfig(), link, {**WHOLE, **odd})


def test_what_a_device_says_of_its_release_is_bounded() -> None:
    link: Any = SimpleNamespace(address="board", root="/device")
    answer = {**WHOLE, "replaced": ["x" * 500], "url": "u" * 5000, "replay": {"p95_ms": 3, "memory_bytes": None}}
    found = _release(TargetConfig(), link, answer)
    assert (found.gap_ms, found.replay) == (1.5, {"p95_ms": 3.0, "memory_bytes": None})
    assert isinstance(found.replaced, str) and len(found.replaced) <= 200 and len(found.url) <= 1000


def test_a_second_deploy_replaces_the_first_on_the_same_port(board: Board) -> None:
    first, second, third = board.bundle(), board.bundle(score=0.4), board.bundle(score=0.3)
    one = board.deploy(first)
    two = board.deploy(second)
    assert two.url == one.url and two.replaced == f"1-{first.digest[:12]}"
    assert health(two.url)["release"] == second.digest
    assert two.gap_ms is not None and two.sent_bytes < second.size / 2, "only what changed is sent"
    assert board.names() == (f"2-{second.digest[:12]}", f"1-{first.digest[:12]}")
    board.deploy(third)
    assert board.names() == (f"3-{third.digest[:12]}", f"2-{second.digest[:12]}")
    board.assert_whole()
    kept = {d for b in (second, third) for d in b.sizes}
    assert listed(board.layout.blobs) == kept, "blobs that no kept release names are collected"
    assert listed(board.layout.releases) == {n for n in board.names() if n}


def test_new_serve_settings_make_a_new_release_of_the_same_files(board: Board) -> None:
    bundle = board.bundle()
    first = board.deploy(bundle)
    second = board.deploy(bundle, source=str(board.dataset.samples[0].path.parent))
    assert second.number == first.number + 1 and second.digest == first.digest and second.sent_bytes == 0
    wait_for(lambda: health(second.url)["source"]["frames"] == len(board.dataset.samples))
    results = (board.root / "run" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in results] == [s.path.name for s in board.dataset.samples]


def test_a_source_that_is_not_there_is_refused_before_anything_is_sent(board: Board) -> None:
    bundle = board.bundle()
    with pytest.raises(ConfigError, match="no-such-folder"):
        board.deploy(bundle, source="no-such-folder")
    assert not list((board.root / "incoming").glob("*")) if (board.root / "incoming").exists() else True


def test_other_answers_than_the_golden_ones_are_refused_and_the_old_release_serves_on(board: Board) -> None:
    first = board.bundle()
    wrong = board.bundle(golden_of=first, **{"class": 0})
    one = board.deploy(first)
    with pytest.raises(RejectedRelease, match="golden replay gave other answers"):
        board.deploy(wrong)
    assert health(one.url)["pid"] == one.pid and board.names() == (f"1-{first.digest[:12]}", None)
    assert board.journal()[-1]["step"] == "refused" and "golden" in board.journal()[-1]["reason"]


def test_a_release_that_does_not_start_is_rolled_back_while_the_old_one_serves(board: Board) -> None:
    first = board.bundle()
    one = board.deploy(first)
    with pytest.raises(RejectedRelease, match=r"does not start.*status 9"):
        board.deploy(board.bundle(crash_in_agent=True))
    assert health(one.url)["pid"] == one.pid, "the old agent was never ended"
    assert board.names() == (f"1-{first.digest[:12]}", None)
    assert board.journal()[-1]["step"] == "rolled back"
    assert board.deploy(first).unchanged


def test_a_first_release_that_does_not_start_leaves_nothing_running(board: Board) -> None:
    with pytest.raises(RejectedRelease, match="does not start"):
        board.deploy(board.bundle(crash_in_agent=True))
    assert running(board.store) == () and board.names() == (None, None)


@pytest.mark.slow
def test_the_goal_s_latency_and_memory_are_measured_again_on_the_device(board: Board) -> None:
    one = board.deploy(board.bundle())
    with pytest.raises(RejectedRelease, match=r"p95 is .* over the limit of 5 ms"):
        board.deploy(board.bundle(GoalConfig(latency_p95_ms=5), delay_ms=8))
    assert health(one.url)["release"] == one.digest, "it serves again after it was paused for a fair race"
    with pytest.raises(RejectedRelease, match=r"takes .* MiB, over the limit of 100 MiB"):
        board.deploy(board.bundle(GoalConfig(memory_mb=100), ballast_mb=120))
    kept = board.deploy(board.bundle(GoalConfig(latency_p95_ms=500, memory_mb=2000)))
    assert kept.replay["p95_ms"] is not None and kept.replay["p95_ms"] < 500


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machine": "riscv64"}, "checked on riscv64"),
        ({"python": "9.1"}, "has Python"),
        ({"memory_bytes": 1 << 60}, "of memory"),
        ({"runtimes": {"pip": ("1.0", "1.1")}}, "checked with pip 1.0"),
        ({"runtimes": {"no-such-runtime": ("1.0", "1.1")}}, "and the device has none"),
    ],
)
def test_a_device_that_does_not_fit_is_refused(board: Board, change: dict[str, Any], said: str) -> None:
    bundle = board.bundle()
    unfit = replace(bundle, needs=replace(bundle.needs, **change))
    with pytest.raises(RejectedRelease, match=said):
        board.deploy(unfit)
    assert not list((board.root / "incoming").glob("*")) and not list((board.root / "releases").glob("*"))


def test_versions_are_compared_as_numbers() -> None:
    bundle = Bundle(Path(), "", 0, {}, {}, Needs(), "", "", "")
    status = {"machine": "x", "python": "3.11.0", "memory": 0, "disk_free": 0, "runtimes": {"openvino": "2026.10.1"}}
    fits = replace(bundle, needs=replace(bundle.needs, runtimes={"openvino": ("2026.10", "2026.11")}))
    refuse_unfit(fits, status)
    older = replace(bundle, needs=replace(bundle.needs, runtimes={"openvino": ("2026.9", "2026.10")}))
    with pytest.raises(RejectedRelease):
        refuse_unfit(older, status)


class DamagingLink:
    """A link on which one byte of one blob is lost."""

    def __init__(self, link: Link, digest: str) -> None:
        self._link, self._digest = link, digest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def put(self, local: Path, remote: str) -> None:
        await self._link.put(local, remote)
        if remote.endswith(self._digest):
            Path(remote).write_bytes(Path(remote).read_bytes()[:-1])


def test_a_blob_damaged_on_the_way_is_refused_and_sent_again(board: Board) -> None:
    one = board.deploy(board.bundle())
    second = board.bundle(score=0.4)
    link = DamagingLink(asyncio.run(board.link()), second.files["model/model.json"])
    with pytest.raises(DeviceError, match="arrived damaged"):
        board.deploy(second, link)  # type: ignore[arg-type]
    assert health(one.url)["pid"] == one.pid
    assert board.deploy(second).digest == second.digest


def test_a_blob_that_rotted_on_the_device_is_sent_again(board: Board) -> None:
    first = board.bundle()
    board.deploy(first)
    blob = Path(board.layout.blob(first.files["app/task.py"]))
    blob.chmod(0o644)
    blob.write_bytes(b"rotten")
    second = board.bundle(score=0.4)
    board.deploy(second)
    assert board.names()[0] == f"2-{second.digest[:12]}"
    assert Path(board.layout.folder(board.names()[0] or ""), "app/task.py").read_bytes() != b"rotten"


def test_two_installations_at_once_are_kept_apart(board: Board) -> None:
    bundle = board.bundle()
    board.layout.make()
    with (board.root / "install.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match="Another installation"):
            board.deploy(bundle)
    assert board.deploy(bundle).number == 1


def test_a_dry_run_says_the_steps_and_sends_nothing(board: Board) -> None:
    bundle = board.bundle()

    async def plan() -> tuple[str, ...]:
        return (await plan_deploy(bundle, TargetConfig(), ServeConfig(port=8099), await board.link())).steps

    steps = asyncio.run(plan())
    assert any("8099" in step for step in steps) and any("golden" in step for step in steps)
    assert not (board.root / "releases").exists() and running(board.store) == ()


def test_a_taken_port_is_refused_when_asked_for_and_passed_over_when_not(board: Board) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RejectedRelease, match=f"port {port} cannot be used"):
            board.deploy(board.bundle(), port=port)
    assert running(board.store) == ()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (board.root / "run" / "state.json").write_text(json.dumps({"port": taken.getsockname()[1]}))
        release = board.deploy(board.bundle(score=0.4))
        assert int(release.url.rsplit(":", 1)[1]) != taken.getsockname()[1]


def test_stop_ends_the_service_and_deploy_starts_it_again(board: Board) -> None:
    bundle = board.bundle()
    first = board.deploy(bundle)
    assert [s.release for s in stop(board.store)] == [f"1-{bundle.digest[:12]}"]
    assert running(board.store) == () and stop(board.store) == ()
    with pytest.raises(OSError):
        ask(first.url + "/healthz")
    again = board.deploy(bundle)
    assert again.number == 1 and not again.unchanged and again.url == first.url
    assert len(board.journal()) == len(STEPS), "nothing was installed anew"


def test_an_agent_that_is_killed_is_started_again(board: Board) -> None:
    release = board.deploy(board.bundle())
    os.kill(release.pid, signal.SIGKILL)
    wait_for(lambda: health(release.url)["pid"] != release.pid)
    assert health(release.url)["release"] == release.digest


def test_an_agent_whose_supervisor_is_killed_ends_too(board: Board) -> None:
    bundle = board.bundle()
    release = board.deploy(bundle)
    agent = processes.identity(release.pid)
    state = json.loads(Path(board.layout.state).read_text())
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    assert processes.wait_gone(agent, 10.0)
    assert running(board.store) == ()
    assert board.deploy(bundle).number == 1


def test_a_process_number_used_again_is_never_taken_for_ours(board: Board) -> None:
    bundle = board.bundle()
    board.deploy(bundle)
    stop(board.store)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        state = json.loads(Path(board.layout.state).read_text())
        for role in ("supervisor", "agent"):
            state[role] = {"pid": stranger.pid, "started": "1"}
        Path(board.layout.state).write_text(json.dumps(state))
        assert running(board.store) == () and stop(board.store) == ()
        board.deploy(bundle)
        stop(board.store)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="elsewhere: mounting a tmpfs needs root")
def test_a_full_disk_leaves_the_old_release_serving(board: Board) -> None:
    board.root.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(board.root)], capture_output=True)
    if done.returncode:
        pytest.skip(f"elsewhere: no tmpfs can be mounted: {done.stderr.decode()}")
    try:
        old, new = board.bundle(), board.bundle(score=0.4)
        one = board.deploy(old)
        ballast = board.root / "ballast"
        with ballast.open("wb") as out:
            free = os.statvfs(board.root).f_bavail * os.statvfs(board.root).f_frsize
            out.write(b"\0" * (free - (33 << 20)))
        board.deploy(old)
        with pytest.raises(OSError), ballast.open("ab") as out:
            while True:
                out.write(b"\0" * 4096)
                out.flush()
        with pytest.raises(DeviceError, match="disk"):
            board.deploy(new)
        assert health(one.url)["pid"] == one.pid
        assert ask(one.url + "/infer", picture(board), "image/png")[0] == 200
        ballast.unlink()
        assert health(board.deploy(new).url)["release"] == new.digest
        board.assert_whole()
    finally:
        stop(board.store)
        subprocess.run(["umount", "-l", str(board.root)], check=True)
