"""Clocks that are ten years off, and that jump while a release is installed and served."""

from __future__ import annotations

from pathlib import Path

import pytest
from board import Board
from faulty import assert_one_whole_release, assert_right_answers, install, power_off, recover, supervise

pytestmark = pytest.mark.slow
YEARS = 10 * 365 * 86400

CLOCK = """
import time
def shifted(now=time.time, began=time.monotonic()):
    return now() + {shift} if time.monotonic() - began > {after} else now()
time.time = shifted
"""


def shim(folder: Path, shift: int, after: float = 0.0) -> dict[str, str]:
    """Variables under which every Python has another clock: the installer, the supervisor, the agent, the replay."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK.format(shift=shift, after=after))
    return {"PYTHONPATH": str(folder)}


@pytest.mark.fault(
    "F19 the device's clock is ten years off, or jumps by as much while a release is installed",
    outcome="the release goes live; then the clock is right again, and the next one goes live",
)
@pytest.mark.parametrize("after", [0.0, 0.3], ids=["off", "jumps"])
@pytest.mark.parametrize("shift", [YEARS, -YEARS], ids=["ahead", "behind"])
def test_a_clock_that_is_wrong(old_board: Board, tmp_path: Path, shift: int, after: float) -> None:
    board, pair = old_board, (old_board.bundle(score=0.5), old_board.bundle(score=0.4))
    if board.names()[1] is None:
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
    new = pair[1] if (board.names()[0] or "").endswith(pair[0].digest[:12]) else pair[0]
    answer = install(board, new, CLOCK.format(shift=shift, after=after), environment=shim(tmp_path / "c", shift, after))
    assert answer.code == 0, answer
    assert_one_whole_release(board, new)
    assert recover(board).code == 0
    old = pair[0] if new is pair[1] else pair[1]
    assert install(board, old).code == 0
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F19 a device starts with the clock of 1970", outcome="its supervisor serves the release, and the next goes live"
)
def test_a_start_without_a_clock(board: Board) -> None:
    old, new = board.bundle(score=0.5), board.bundle(score=0.4)
    assert install(board, old).code == 0
    power_off(board)
    started = supervise(board)
    assert_right_answers(board, old)
    assert install(board, new, CLOCK.format(shift="-now()", after=-1)).code == 0
    assert_one_whole_release(board, new)
    power_off(board)
    started.wait()
