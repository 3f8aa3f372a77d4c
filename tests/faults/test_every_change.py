"""Installers that are killed before each change they make to the disk, and before each signal they send: what random
moments may never meet. Python's audit events tell of the changes, so one that is new is met by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from board import Board
from faulty import (
    AT_STEP,
    Installer,
    assert_one_whole_release,
    at_change,
    begin,
    install,
    recovered,
    serving,
    state,
    wait_for,
)

from edgewright.core.config import GoalConfig
from edgewright.pipeline.bundle import Bundle

pytestmark = pytest.mark.slow


def pair(board: Board) -> tuple[Bundle, Bundle]:
    """What serves, and its predecessor."""
    both = (board.bundle(), board.bundle(score=0.4))
    if board.names()[1] is None:
        for bundle in reversed(both):
            assert install(board, bundle).code == 0
    return both if (board.names()[0] or "").endswith(both[0].digest[:12]) else both[::-1]


def untold(board: Board, tmp_path: Path) -> None:
    """An installation is cut when `current` names the new release, and the supervisor has not been told."""
    cut = AT_STEP.format(step="switched", when="after", what="kill", sign=str(tmp_path / "met"))
    assert install(board, pair(board)[1], cut).code == -9


def loading(board: Board, tmp_path: Path) -> None:
    """An installation is cut while the supervisor loads the new release."""
    slow = begin(board, board.bundle(load_in_agent_s=0.7))
    wait_for(lambda: state(board)["phase"] == "starting")
    slow.kill()
    slow.answer()


def resting(board: Board, tmp_path: Path) -> None:
    """An installation is cut while the old release rests."""
    measured = begin(board, board.bundle(GoalConfig(latency_p95_ms=4), delay_ms=8))
    wait_for(lambda: state(board)["phase"] == "paused")
    measured.kill()
    measured.answer()


def live(board: Board, tmp_path: Path) -> None:
    """An installation is cut when its release serves, before it is committed."""
    cut = AT_STEP.format(step="baked", when="after", what="kill", sign=str(tmp_path / "met"))
    assert install(board, pair(board)[1], cut).code == -9


def going_back(board: Board, tmp_path: Path) -> None:
    """A rollback is cut when `current` names the release before."""
    cut = AT_STEP.format(step="switched", when="after", what="kill", sign=str(tmp_path / "met"))
    assert Installer(board, "rollback", {}, cut).answer().code == -9


@pytest.mark.fault(
    "F13 the recovery of an operation that was cut is killed before each change it makes",
    outcome="one whole release serves, and the next recovery ends what was begun",
)
@pytest.mark.parametrize("cut", [untold, loading, resting, live, going_back], ids=lambda cut: cut.__name__)
def test_recovery_killed_at_every_change(
    old_board: Board, tmp_path: Path, cut: Callable[[Board, Path], None], injected: Callable[..., None]
) -> None:
    for number in itertools.count(1):
        both = pair(old_board)
        cut(old_board, tmp_path)
        killed = Installer(old_board, "missing", {"sizes": {}}, at_change(old_board, number)).answer()
        assert killed.code in (0, -9), killed
        assert serving(old_board) or cut is resting
        if killed.code == -9:
            recovered(old_board)
        assert_one_whole_release(old_board, *both)
        assert state(old_board)["phase"] == "serving"
        if killed.code == 0:
            break
    assert number > 3, "there are changes to be killed at"
    injected(number - 1)


@pytest.mark.fault(
    "F4 an installation, and a rollback, are killed before each change they make once they switch",
    outcome="one whole release serves, the old or the new; the next operation ends what was begun",
)
@pytest.mark.parametrize("op", ["install", "rollback"])
def test_killed_at_every_change(old_board: Board, op: str, injected: Callable[..., None]) -> None:
    for number in itertools.count(1):
        both = pair(old_board)
        fault = at_change(old_board, number, since="switching")
        killed = (begin(old_board, both[1], fault) if op == "install" else Installer(old_board, op, {}, fault)).answer()
        assert killed.code in (0, -9), killed
        assert serving(old_board)
        if killed.code == -9:
            recovered(old_board)
        assert_one_whole_release(old_board, *both)
        assert state(old_board)["phase"] == "serving"
        if killed.code == 0:
            break
    assert number > 3, "there are changes to be killed at"
    injected(number - 1)
