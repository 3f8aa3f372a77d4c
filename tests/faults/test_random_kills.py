"""Two hundred installers, killed at any time, one after another on the same device."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from board import Board
from faulty import assert_one_whole_release, assert_static_whole, begin, install, recovered, serving

KILLS = 200
LOOKS = 20
"""After so many kills everything is looked at: answers, digests of every file, what is left over."""


@pytest.mark.slow
@pytest.mark.fault(
    "F4 200 installers are killed at random times",
    outcome="after each a whole release serves (after every twentieth /infer is asked); nothing of the killed ones is "
    "left over, and the next one succeeds",
)
def test_killed_at_random_times(old_board: Board, injected: Callable[..., None]) -> None:
    pair = (old_board.bundle(), old_board.bundle(score=0.4))
    for bundle in reversed(pair):
        assert install(old_board, bundle).code == 0
    began = time.monotonic()
    assert install(old_board, pair[1]).code == 0
    longest = min(time.monotonic() - began, 1.5)
    dice = random.Random(2024)
    for number in range(KILLS):
        current = old_board.names()[0] or ""
        new = pair[0] if current.endswith(pair[1].digest[:12]) else pair[1]
        running = begin(old_board, new)
        # Most kills early: what comes before the replay changes files, what comes after it starts a process.
        time.sleep(longest * dice.random() ** 2)
        running.kill()
        running.answer()
        assert_static_whole(old_board, *pair)
        assert serving(old_board).get("release") in (pair[0].digest, pair[1].digest)
        if number % LOOKS == LOOKS - 1:
            recovered(old_board)
            assert_one_whole_release(old_board, *pair)
            assert nothing_left_over(old_board)
    injected(KILLS, asked=KILLS // LOOKS)
    current = old_board.names()[0] or ""
    new = pair[0] if current.endswith(pair[1].digest[:12]) else pair[1]
    assert install(old_board, new).code == 0
    assert_one_whole_release(old_board, new)
    assert nothing_left_over(old_board)


def nothing_left_over(board: Board) -> bool:
    """No half release, and no more of them than what serves, what served, and what was received last."""
    names = {path.name for path in Path(board.layout.releases).iterdir()}
    return not any(name.startswith(".") for name in names) and len(names) <= 3
