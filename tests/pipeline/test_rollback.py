"""Back to the release before, for real; and a release that fails in its bake time."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from board import Board, ask, health
from faulty import assert_one_whole_release

from edgewright.core.config import GoalConfig
from edgewright.core.errors import DeviceError, RejectedRelease
from edgewright.device import programs
from edgewright.device.journal import Journal
from edgewright.device.recovery import collect
from edgewright.pipeline.device_program import _bring, operate

STEPS = ("begun", "managed", "switching", "switched", "started", "healthy", "committed")
KILLED = """
import os, signal, sys
from edgewright.device import install, journal
step = sys.argv[2]
record = journal.Journal.record
def killed(self, name, **facts):
    record(self, name, **facts)
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.record = killed
install.main([sys.argv[1], "rollback"])
"""


def do(board: Board, op: str, **request: Any) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        return await operate(await board.link(), op, request)

    return asyncio.run(go())


def test_a_rollback_brings_back_the_release_before_on_the_same_port(board: Board) -> None:
    first, second = board.bundle(), board.bundle(score=0.4)
    one = board.deploy(first)
    two = board.deploy(second)
    answer = do(board, "rollback")
    assert (answer["digest"], answer["url"], answer["gap_ms"] is not None) == (first.digest, two.url, True)
    assert health(one.url)["release"] == first.digest
    assert board.names() == (f"1-{first.digest[:12]}", f"2-{second.digest[:12]}")
    assert [record["step"] for record in board.journal()[-len(STEPS) :]] == list(STEPS)
    board.assert_whole()
    assert do(board, "rollback")["digest"] == second.digest, "a rollback can be rolled back"
    assert do(board, "golden")["mismatches"] == [] and do(board, "golden")["digest"] == second.digest


def test_without_a_release_before_nothing_is_rolled_back(board: Board) -> None:
    one = board.deploy(board.bundle())
    with pytest.raises(DeviceError, match="no release before"):
        do(board, "rollback")
    assert health(one.url)["pid"] == one.pid


def test_a_rollback_that_fails_itself_changes_nothing(board: Board, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    first, second = board.bundle(crash_if=str(gone)), board.bundle(score=0.4)
    board.deploy(first)
    two = board.deploy(second)
    gone.touch()
    with pytest.raises(RejectedRelease, match="does not start"):
        do(board, "rollback")
    assert health(two.url)["pid"] == two.pid
    assert board.names() == (f"2-{second.digest[:12]}", f"1-{first.digest[:12]}")
    assert_one_whole_release(board, second)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)  # after one step is before the next
def test_a_rollback_killed_at_any_step_leaves_one_whole_release_serving(old_board: Board, step: str) -> None:
    board, bundles = old_board, {b.digest: b for b in (old_board.bundle(), old_board.bundle(score=0.4))}
    if board.names()[1] is None:
        for bundle in bundles.values():
            board.deploy(bundle)
    url, before = do(board, "status")["url"], board.names()
    code = asyncio.run(bring(board))
    argv = [code[1], "-c", KILLED, str(board.root), step]
    done = subprocess.run(argv, input="{}", text=True, capture_output=True, env={**os.environ, "PYTHONPATH": code[0]})
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    said = do(board, "missing", sizes={})["recovered"]  # the next operation finishes or undoes it
    assert said == "" if step == "committed" else f"The rollback to {before[1]} ended after the step `{step}`: " in said
    assert health(url)["release"] in bundles and set(board.names()) == set(before)
    assert_one_whole_release(board, *bundles.values())


@pytest.mark.parametrize("answer", ["is lost", "never came"])
def test_a_rollback_that_is_asked_for_again_does_not_go_forth(board: Board, answer: str) -> None:
    """The first one's answer was lost, or it was killed when it had switched: whoever asks again finds it done."""
    first, second = board.bundle(), board.bundle(score=0.4)
    board.deploy(first)
    board.deploy(second)
    back, bad = f"1-{first.digest[:12]}", f"2-{second.digest[:12]}"
    if answer == "is lost":
        assert do(board, "rollback", leave=bad)["name"] == back
    else:
        code = asyncio.run(bring(board))
        environment = {**os.environ, "PYTHONPATH": code[0]}
        argv = [code[1], "-c", KILLED, str(board.root), "healthy"]
        assert subprocess.run(argv, input="{}", text=True, capture_output=True, env=environment).returncode == -9
    again = do(board, "rollback", **({"leave": bad} if answer == "is lost" else {}))
    assert (again["name"], again["replaced"]) == (back, bad) and board.names() == (back, bad)
    assert_one_whole_release(board, first)
    assert do(board, "rollback")["name"] == bad, "somebody else may go back to what was left"


async def bring(board: Board) -> tuple[str, str]:
    link = await board.link()
    return await _bring(link), link.python


def test_a_release_that_dies_in_its_bake_time_is_rolled_back(board: Board) -> None:
    first = board.bundle()
    one = board.deploy(first)
    with pytest.raises(RejectedRelease, match="ended during its bake time"):
        board.deploy(board.bundle(die_after_s=1.5), bake_s=30)
    assert health(one.url)["release"] == first.digest
    assert board.names() == (f"1-{first.digest[:12]}", None)
    assert board.journal()[-1]["step"] == "rolled back" and "bake" in board.journal()[-1]["reason"]


def test_a_release_that_breaks_its_limit_in_its_bake_time_is_rolled_back(board: Board) -> None:
    """It is fast on the golden samples and slow on what it is really asked."""
    first = board.bundle()
    one = board.deploy(first)
    slow = board.bundle(GoalConfig(latency_p95_ms=100), slow_after_s=1.0, score=0.45)
    stopped, body = threading.Event(), board.dataset.samples[0].path.read_bytes()

    def requests() -> None:
        while not stopped.is_set():
            ask(one.url + "/infer", body, "image/png")
            time.sleep(0.001)

    asking = [threading.Thread(target=requests) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        with pytest.raises(RejectedRelease, match=r"bake time p95 was .* over the limit of 100 ms"):
            board.deploy(slow, bake_s=6)
    finally:
        stopped.set()
        for thread in asking:
            thread.join()
    assert health(one.url)["release"] == first.digest


STOP_FIRST = """
import sys
from edgewright.device import board, install
board.memory_available = lambda: 1
install.main([sys.argv[1], "install"])
"""


def test_where_memory_cannot_hold_both_the_old_release_stops_first_and_the_gap_is_told(board: Board) -> None:
    first, second = board.bundle(), board.bundle(score=0.4)
    one = board.deploy(first)

    async def send() -> tuple[str, str]:
        link = await board.link()
        for digest in second.sizes:
            await link.put(second.blob(digest), f"{link.root}/incoming/{digest}")
        return await _bring(link), link.python

    code, python = asyncio.run(send())
    request = {"manifest": second.digest, "serve": board.settings()}
    done = subprocess.run(
        [python, "-c", STOP_FIRST, str(board.root)],
        input=json.dumps(request), text=True, capture_output=True, env={**os.environ, "PYTHONPATH": code},
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["quiet"] is True and answer["gap_ms"] > 0, answer
    assert (
        next(r for r in board.journal() if r["step"] == "replayed" and r["release"] == answer["name"])["quiet"] is True
    )
    assert health(one.url)["release"] == second.digest


def test_a_release_that_an_unfinished_installation_names_is_not_collected(board: Board) -> None:
    first = board.bundle()
    board.deploy(first)
    named = board.layout.folder("9-" + "9" * 12)
    shutil.copytree(board.layout.folder(board.names()[0] or ""), named)
    stray = board.layout.folder("8-" + "8" * 12)
    shutil.copytree(named, stray)
    Journal(board.layout.journal).record("begun", release="9-" + "9" * 12, old=board.names()[0])
    collect(board.layout)
    assert Path(named).is_dir() and not Path(stray).exists()
    board.assert_whole()


def test_the_youngest_of_our_programs_and_those_in_use_are_kept(board: Board) -> None:
    one = board.deploy(board.bundle())
    tools = board.root / "tools"
    used = next(path.name for path in tools.iterdir() if path.is_dir())
    for age in range(6):
        folder = tools / f"{age:012x}"
        folder.mkdir()
        os.utime(folder, (time.time() + 10 + age,) * 2)
    programs.collect(board.layout)
    assert {path.name for path in tools.iterdir() if path.is_dir()} == {used, *(f"{age:012x}" for age in (3, 4, 5))}
    assert health(one.url)["pid"] == one.pid
