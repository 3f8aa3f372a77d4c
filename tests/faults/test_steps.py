"""An installer that dies, fails or hangs, before and after every step of its journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from board import Board
from faulty import (
    AT_STEP,
    Installer,
    assert_one_whole_release,
    begin,
    install,
    power_off,
    recover,
    recovered,
    serving,
    state,
    supervise,
    told,
    wait_for,
)

from edgewright.core.config import GoalConfig
from edgewright.device import processes
from edgewright.device.journal import STEPS
from edgewright.pipeline.bundle import Bundle

pytestmark = pytest.mark.slow
SIDES = ("before", "after")


def serving_and_next(board: Board) -> tuple[Bundle, Bundle]:
    """What serves on the board, and what comes next. A board has a predecessor too."""
    pair = (board.bundle(), board.bundle(score=0.4))
    if board.names()[1] is None:
        for bundle in reversed(pair):
            answer = install(board, bundle)
            assert answer.code == 0, answer
    current = board.names()[0] or ""
    return pair if current.endswith(pair[0].digest[:12]) else pair[::-1]


def fault(tmp_path: Path, step: str, when: str, what: str) -> str:
    return AT_STEP.format(step=step, when=when, what=what, sign=str(tmp_path / "met"))


def is_open(step: str, when: str) -> bool:
    """Whether an installation that was met there has begun and has not come to its end."""
    return (step, when) not in ((STEPS[0], "before"), (STEPS[-1], "after"))


@pytest.mark.fault(
    "F1 the installer is killed before or after any step of its journal",
    outcome="one whole release serves, the old or the new; the next operation finishes or undoes the rest, and says so",
)
@pytest.mark.parametrize("when", SIDES)
@pytest.mark.parametrize("step", STEPS)
def test_killed(old_board: Board, tmp_path: Path, step: str, when: str) -> None:
    old, new = serving_and_next(old_board)
    before = old_board.names()
    assert install(old_board, new, fault(tmp_path, step, when, "kill")).code == -9
    assert serving(old_board)["release"] in (old.digest, new.digest)
    assert told(old_board)["unfinished"] == is_open(step, when)
    said = recovered(old_board)
    kept = assert_one_whole_release(old_board, old, new)
    assert bool(said) == is_open(step, when) and told(old_board)["unfinished"] is False
    assert not said or said.endswith("it was serving already, and is kept.") == (kept == new)
    assert not said or kept == new or f"{before[0]} is " in said
    assert kept == new or old_board.names() == before, "the predecessor is what it was"
    assert kept == old or old_board.names()[1] == before[0]
    assert old_board.journal()[-1]["step"] in ("committed", "refused", "rolled back")
    assert len(list(Path(old_board.layout.releases).iterdir())) <= 3


@pytest.mark.fault(
    "F2 a step fails, before or after it is in the journal (an I/O error)",
    outcome="the old release serves on, its predecessor is what it was, and the error says what failed",
)
@pytest.mark.parametrize("when", SIDES)
@pytest.mark.parametrize("step", STEPS)
def test_failed(old_board: Board, tmp_path: Path, step: str, when: str) -> None:
    old, new = serving_and_next(old_board)
    before = old_board.names()
    answer = install(old_board, new, fault(tmp_path, step, when, "error"))
    assert (tmp_path / "met").exists()
    assert answer.code == 3 and "Input/output error" in answer.message
    said = recovered(old_board)
    assert_one_whole_release(old_board, old)
    assert old_board.names() == before
    last = told(old_board)["last"]
    if (step, when) == ("begun", "before"):
        return  # nothing was begun
    assert last["op"] == "install" and last["release"].endswith(new.digest[:12]) and not last["over"]
    assert ("Input/output error" in last["reason"]) == (said == ""), last
    assert before[0] in last["outcome"]


@pytest.mark.fault(
    "F3 the installer hangs before or after any step of its journal",
    outcome="a release serves meanwhile, a second installer is told, `status` says where it hangs, and once it is "
    "ended one whole release remains",
)
@pytest.mark.parametrize("when", SIDES)
@pytest.mark.parametrize("step", STEPS)
def test_hung(old_board: Board, tmp_path: Path, step: str, when: str) -> None:
    old, new = serving_and_next(old_board)
    hung = begin(old_board, new, fault(tmp_path, step, when, "hang"))
    while not (tmp_path / "met").exists():
        assert not hung.ended(), hung.answer()
    assert serving(old_board)["release"] in (old.digest, new.digest)
    assert "at work" in recover(old_board).message
    now = told(old_board)
    assert now["unfinished"] == is_open(step, when)
    if now["unfinished"]:
        reached = old_board.journal()[-1]["step"]
        assert (now["last"]["step"], now["last"]["outcome"]) == (reached, "it is at work")
    hung.kill()
    hung.answer()
    if is_open(step, when):
        assert told(old_board)["last"]["outcome"] == "the next operation finishes or undoes it"
    assert bool(recovered(old_board)) == is_open(step, when)
    assert_one_whole_release(old_board, old, new)


@pytest.mark.fault(
    "F1 the device loses power after any step, and starts again",
    outcome="the supervisor alone serves one whole release, with no host; the next operation ends what was begun",
)
@pytest.mark.parametrize("step", STEPS)
def test_rebooted(old_board: Board, tmp_path: Path, step: str) -> None:
    old, new = serving_and_next(old_board)
    hung = begin(old_board, new, fault(tmp_path, step, "after", "hang"))
    while not (tmp_path / "met").exists():
        assert not hung.ended(), hung.answer()
    hung.kill()
    power_off(old_board)
    hung.answer()
    started = supervise(old_board)
    assert_one_whole_release(old_board, old, new)
    assert bool(recovered(old_board)) == is_open(step, "after")
    assert_one_whole_release(old_board, old, new)
    processes.end(processes.identity(started.pid), 12.0)
    started.wait()
    answer = install(old_board, old)
    assert answer.code == 0, answer
    assert_one_whole_release(old_board, old)


@pytest.mark.fault(
    "F1 the very first installation of a device is killed",
    outcome="no release or a whole one serves; the next installation succeeds",
)
@pytest.mark.parametrize("step", ["begun", "assembled", "switched", "healthy"])
def test_killed_during_the_first(board: Board, tmp_path: Path, step: str) -> None:
    bundle = board.bundle()
    assert install(board, bundle, fault(tmp_path, step, "after", "kill")).code == -9
    answer = install(board, bundle)
    assert answer.code == 0 and f"after the step `{step}`: the installer was interrupted" in answer.said["recovered"]
    assert_one_whole_release(board, bundle)


NOT_TOLD = """
import os, signal
from edgewright.device.serving import Serving
Serving.follow = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.fault(
    "F1 the installer is killed while the new release loads, and so is the one that goes back",
    outcome="the supervisor, which nobody has told, goes back by itself, or the next host has it do so",
)
@pytest.mark.parametrize("looked_at", ["at once", "later"])
def test_killed_while_it_goes_back(old_board: Board, looked_at: str) -> None:
    old, _ = serving_and_next(old_board)
    slow = begin(old_board, old_board.bundle(load_in_agent_s=3.0))
    wait_for(lambda: state(old_board)["phase"] == "starting")
    slow.kill()
    slow.answer()
    assert Installer(old_board, "missing", {"sizes": {}}, NOT_TOLD).answer().code == -9
    if looked_at == "later":
        wait_for(lambda: serving(old_board)["release"] != old.digest)
        wait_for(lambda: serving(old_board)["release"] == old.digest)
    assert "the installer was interrupted" in recovered(old_board)
    assert_one_whole_release(old_board, old)
    assert state(old_board)["phase"] == "serving"


@pytest.mark.fault(
    "F1 the installer is killed while it lets the service rest for a fair measurement",
    outcome="the service goes on at once, without a host",
)
def test_killed_while_the_service_rests(old_board: Board) -> None:
    old, _ = serving_and_next(old_board)
    measured = begin(old_board, old_board.bundle(GoalConfig(latency_p95_ms=4), delay_ms=8))
    wait_for(lambda: state(old_board)["phase"] == "paused")
    measured.kill()
    measured.answer()
    wait_for(lambda: state(old_board)["phase"] == "serving")
    assert_one_whole_release(old_board, old)
    assert "ended after the step `assembled`" in recovered(old_board)
