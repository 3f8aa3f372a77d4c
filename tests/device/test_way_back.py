"""The way back of a real installation that was cut, by the device alone: nothing is forgotten that was there before."""

from __future__ import annotations

from pathlib import Path

import pytest
from board import Board
from faulty import AT_STEP, assert_one_whole_release, install, power_off, recovered, supervise, told

from edgewright.device import processes


@pytest.mark.slow
def test_a_release_cut_just_before_its_commit_that_then_fails_leaves_the_predecessor(
    board: Board, tmp_path: Path
) -> None:
    before, old = board.bundle(score=0.4), board.bundle()
    for bundle in (before, old):
        assert install(board, bundle).code == 0
    names, gone = board.names(), tmp_path / "gone"
    fault = AT_STEP.format(step="committed", when="before", what="kill", sign=str(tmp_path / "met"))
    assert install(board, board.bundle(crash_if=str(gone)), fault, tries=1).code == -9
    assert board.names()[1] == names[0], "`previous` names what is replaced already"
    power_off(board)
    gone.touch()
    started = supervise(board)
    assert_one_whole_release(board, old)
    assert board.names() == names and recovered(board) == ""
    assert told(board)["reverted"]["to"] == names[0]
    processes.end(processes.identity(started.pid), 12.0)
    started.wait()
