"""What the supervisor and an installer that is gone leave each other."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import Board
from faulty import (
    AT_STEP,
    Installer,
    assert_one_whole_release,
    assert_right_answers,
    at_change,
    begin,
    install,
    recover,
    recovered,
    serving,
    state,
    supervise,
    told,
    wait_for,
)

from edgewright.device import processes
from edgewright.device.boot_counter import BootCounter
from edgewright.device.release import Layout
from edgewright.device.serving import Serving
from edgewright.pipeline.bundle import Bundle

pytestmark = pytest.mark.slow

JUDGED_BAD = "from edgewright.device import installation; installation.bake = lambda *_: 'It was judged bad'\n"
KILLED_WHEN_TOLD = """
from edgewright.device import processes
send = processes.send
processes.send = lambda known, sign: send(known, 9 if sign == 1 else sign)
"""


def cut(board: Board, bundle: Bundle, step: str, when: str, tmp_path: Path) -> None:
    """An installation that is killed there."""
    assert (
        install(board, bundle, AT_STEP.format(step=step, when=when, what="kill", sign=str(tmp_path / "met"))).code == -9
    )


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two that are free."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        free = one.getsockname()[1], two.getsockname()[1]
    yield free


@pytest.mark.fault(
    "F13 an installer that goes back from a release it has judged bad is killed before each change it makes",
    outcome="the release before serves; where none served before, none serves: never the one that was judged bad",
)
@pytest.mark.parametrize("before", ["a release served", "it was stopped", "there was none"])
def test_going_back_killed_at_every_change(board: Board, before: str, injected: Callable[..., None]) -> None:
    old, bad = board.bundle(), board.bundle(score=0.4)
    if before != "there was none":
        assert install(board, old).code == 0
    current = board.names()[0]
    for number in itertools.count(2):  # the first one writes the verdict down
        if before == "it was stopped":
            Serving(Layout(str(board.root))).stop()
        answer = install(board, bad, JUDGED_BAD + at_change(board, number, since="condemned"))
        assert answer.code in (3, -9)
        if answer.code == -9:
            recovered(board)
        assert board.names()[0] == current
        if before == "a release served":
            assert_one_whole_release(board, old)
        else:
            assert serving(board) == {} and not processes.alive(state(board).get("supervisor"))
        if answer.code == 3:
            break
    assert number > 4, "there are changes to be killed at"
    assert "judged bad" in told(board)["last"]["reason"]
    injected(number - 2)
    assert install(board, old).code == 0
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F14 a release with another port does not start",
    outcome="the old one is still found where it serves, and the next release may have its port",
)
def test_a_release_with_another_port_does_not_start(board: Board, ports: tuple[int, int]) -> None:
    old, port = board.bundle(), ports[0]
    assert install(board, old, port=port).code == 0
    answer = install(board, board.bundle(crash_in_agent=True), port=ports[1])
    assert answer.code == 3 and "does not start" in answer.message
    assert state(board)["port"] == port
    assert_one_whole_release(board, old)
    assert install(board, board.bundle(score=0.4), port=ports[1]).code == 0
    assert state(board)["port"] == ports[1]
    assert_one_whole_release(board, board.bundle(score=0.4))


def test_a_service_is_opened_to_the_network_on_the_port_it_has(board: Board, ports: tuple[int, int]) -> None:
    bundles, port = (board.bundle(), board.bundle(load_in_agent_s=1.0)), ports[0]
    assert install(board, bundles[0], port=port).code == 0
    for host, bundle in (("0.0.0.0", bundles[1]), ("127.0.0.1", bundles[1]), ("0.0.0.0", bundles[0])):
        answer = install(board, bundle, port=port, host=host)
        assert answer.code == 0 and answer.said["gap_ms"] < 700.0, "the old one answers while the new one loads"
        assert (state(board)["host"], state(board)["port"]) == (host, port)
        assert_right_answers(board, bundle)


@pytest.mark.fault(
    "F14 the service's port is taken when the device starts",
    outcome="the supervisor tries again, and serves once it is free",
)
def test_a_port_that_comes_free_late(board: Board, ports: tuple[int, int]) -> None:
    old = board.bundle()
    assert install(board, old, port=ports[0]).code == 0
    Serving(Layout(str(board.root))).stop()
    with socket.create_server(("127.0.0.1", ports[0])):
        supervise(board, RETRY_S=0.5)
        wait_for(lambda: state(board)["phase"] == "failed")
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F14 the supervisor is stopped again and again while its release loads",
    outcome="that is no start that failed: the release serves once it is left alone",
)
def test_stopped_while_it_loads(board: Board) -> None:
    slow = board.bundle(load_in_agent_s=1.0)
    assert install(board, board.bundle()).code == 0 and install(board, slow).code == 0
    Serving(Layout(str(board.root))).stop()
    for _ in range(4):
        started = supervise(board)
        wait_for(lambda: state(board)["phase"] == "starting")
        os.kill(started.pid, signal.SIGTERM)
        started.wait()
    assert BootCounter(board.layout).tries(board.names()[0] or "") == 0
    supervise(board)
    assert_one_whole_release(board, slow)


@pytest.mark.fault(
    "F1 the installer is killed after it has switched `current`, and no host ever comes again",
    outcome="the supervisor makes current what serves, and tells who asks one day",
)
@pytest.mark.parametrize("moment", ["before it told the supervisor", "when the new one did not start"])
def test_nobody_comes_again(board: Board, tmp_path: Path, moment: str) -> None:
    old = board.bundle()
    assert install(board, old).code == 0
    Serving(Layout(str(board.root))).stop()
    supervise(board, AGREE_S=1.0)
    wait_for(lambda: serving(board))
    if moment == "before it told the supervisor":
        cut(board, board.bundle(score=0.4), "switched", "after", tmp_path)
    else:
        cut(board, board.bundle(crash_in_agent=True), "condemned", "before", tmp_path)
    assert not (board.names()[0] or "").endswith(old.digest[:12])
    wait_for(lambda: (board.names()[0] or "").endswith(old.digest[:12]))
    wait_for(lambda: not told(board)["unfinished"])
    wait_for(lambda: state(board)["phase"] == "serving")
    assert_one_whole_release(board, old)
    assert told(board)["last"]["outcome"] == f"{board.names()[0]} is back"
    assert recovered(board) == ""
    assert install(board, board.bundle(score=0.4)).code == 0


def test_a_release_that_became_current_with_nobody_told_is_followed(board: Board) -> None:
    for bundle in (board.bundle(), board.bundle(score=0.4)):
        assert install(board, bundle).code == 0
    Serving(Layout(str(board.root))).stop()
    supervise(board, AGREE_S=1.0)
    wait_for(lambda: serving(board))
    current, previous = board.names()
    board.layout.point(board.layout.current, previous)
    board.layout.point(board.layout.previous, current)
    wait_for(lambda: serving(board).get("release") == board.bundle().digest)
    assert_one_whole_release(board, board.bundle())


@pytest.mark.fault(
    "F1 the old release's agent dies after the new one did not start, and the installer is gone",
    outcome="the old release is started again, not the new one",
)
def test_the_old_agent_dies_where_the_new_one_did_not_start(board: Board, tmp_path: Path) -> None:
    old = board.bundle()
    assert install(board, old).code == 0
    cut(board, board.bundle(crash_in_agent=True), "condemned", "before", tmp_path)
    first = state(board)["agent"]["pid"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: (state(board).get("agent") or {}).get("pid") not in (None, first))
    assert serving(board)["release"] == old.digest
    assert_right_answers(board, old)
    recovered(board)
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F14 the old release's agent dies while the new one loads, which then does not start, and the installer is gone",
    outcome="the old release is started again at once",
)
def test_the_old_agent_dies_while_the_new_one_loads(board: Board, tmp_path: Path) -> None:
    old = board.bundle()
    assert install(board, old).code == 0
    running = begin(board, board.bundle(load_in_agent_s=1.5, needs_file=str(tmp_path / "none")))
    wait_for(lambda: state(board)["phase"] == "starting")
    os.kill(state(board)["agent"]["pid"], signal.SIGKILL)
    running.kill()
    running.answer()
    wait_for(lambda: serving(board).get("release") == old.digest, timeout_s=20.0)
    assert_right_answers(board, old)
    recovered(board)
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F1 an installation that had not switched is cut where the service was coming up",
    outcome="who ends it lets the service come up",
)
def test_a_service_that_comes_up_is_left_to_it(board: Board, tmp_path: Path) -> None:
    slow = board.bundle(load_in_agent_s=1.5)
    assert install(board, slow).code == 0
    Serving(Layout(str(board.root))).stop()
    cut(board, board.bundle(score=0.4), "assembled", "after", tmp_path)
    supervise(board)
    wait_for(lambda: state(board)["phase"] == "starting")
    recovered(board)
    assert_one_whole_release(board, slow)


@pytest.mark.fault(
    "F1 the supervisor is killed the moment it is told of a new release",
    outcome="another one is started, and serves the new release",
)
def test_the_supervisor_dies_when_it_is_told(board: Board) -> None:
    assert install(board, board.bundle()).code == 0
    answer = install(board, board.bundle(score=0.4), KILLED_WHEN_TOLD)
    assert answer.code == 0, answer
    assert_one_whole_release(board, board.bundle(score=0.4))


@pytest.mark.fault(
    "F13 the release before does not start either",
    outcome="the error, `status` and whoever recovers say so; the next release goes live",
)
def test_the_release_before_does_not_start_either(board: Board, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    assert install(board, board.bundle(crash_if=str(broken))).code == 0
    broken.touch()
    answer = install(board, board.bundle(score=0.4), JUDGED_BAD)
    assert answer.code == 3 and "judged bad" in answer.message and "does not start" in answer.message
    assert "is current again, and does not start" in told(board)["last"]["outcome"]
    assert state(board)["phase"] == "failed"
    assert install(board, board.bundle(score=0.5)).code == 0
    assert_one_whole_release(board, board.bundle(score=0.5))


@pytest.mark.fault(
    "F1 the installer is killed, and the service is stopped before the next one comes",
    outcome="what was cut is undone, and nothing is started",
)
def test_stopped_after_an_installer_was_killed(board: Board, tmp_path: Path) -> None:
    assert install(board, board.bundle()).code == 0
    cut(board, board.bundle(score=0.4), "switched", "after", tmp_path)
    assert Installer(board, "stop", {}).answer().code == 0
    assert "the installer was interrupted" in recovered(board)
    assert serving(board) == {} and not processes.alive(state(board).get("supervisor"))
    assert install(board, board.bundle()).code == 0
    assert_one_whole_release(board, board.bundle())


def test_releases_that_the_killed_left_are_cleared_up(board: Board, tmp_path: Path) -> None:
    """Killed between the commit and the clearing up, again and again."""
    for score in (0.1, 0.2, 0.3, 0.4):
        cut(board, board.bundle(score=score), "committed", "after", tmp_path)
    assert recover(board).code == 0
    assert {path.name for path in Path(board.layout.releases).iterdir()} == set(board.names())
    assert_one_whole_release(board, board.bundle(score=0.4))


def test_half_files_of_the_killed_are_cleared_up(board: Board) -> None:
    assert install(board, board.bundle()).code == 0
    left = [board.root / ".writing-left", board.root / "run" / ".writing-left"]
    new = board.root / "run" / ".writing-new"
    for path in (*left, new):
        path.touch()
    for path in left:
        os.utime(path, (0, 0))
    assert recover(board).code == 0
    assert not any(path.exists() for path in left) and new.exists()
