"""Two operators at the same device at the same time, and one who dies in the middle of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from board import Board
from deploying import begin
from faulty import AT_STEP, assert_one_whole_release, install, recover, serving, wait_for

from edgewright.core.errors import DeviceError

pytestmark = pytest.mark.slow


@pytest.fixture
def standing(old_board: Board) -> Board:
    """A device that serves, with a release before."""
    if old_board.names()[1] is None:
        for score in (0.3, 0.5):
            assert install(old_board, old_board.bundle(score=score)).code == 0
    return old_board


@pytest.mark.fault(
    "F15 two operators deploy to one device at once",
    outcome="one goes live whole; the other comes after it, or is told who is at work",
)
def test_two_at_once(standing: Board, tmp_path: Path) -> None:
    pair = (standing.bundle(score=0.4), standing.bundle(score=0.45))
    both = [begin(bundle, standing, tmp_path / str(n)) for n, bundle in enumerate(pair)]
    for one in both:
        one.join(120)
    said = [json.loads((tmp_path / str(n)).read_text())["error"] for n in range(2)]
    assert "" in said and all("is at work" in error for error in said if error), said
    assert_one_whole_release(standing, *(bundle for bundle, error in zip(pair, said, strict=True) if not error))


@pytest.mark.fault(
    "F15 an operator dies while sending, and leaves the lease",
    outcome="while that process lives the next one is told who it is; once it is dead the next one goes live",
)
def test_one_that_dies_while_sending(standing: Board, tmp_path: Path) -> None:
    before, serves = standing.names(), serving(standing)["release"]
    first = begin(standing.bundle(score=0.35), standing, tmp_path / "first", slowly=True)
    wait_for(lambda: (tmp_path / "first").exists())
    new = standing.bundle(score=0.55)
    with pytest.raises(DeviceError, match="is at work on this device"):
        standing.deploy(new, manager="supervisor")
    assert standing.names() == before and serving(standing)["release"] == serves
    os.kill(first.pid, signal.SIGKILL)
    first.join(20)
    assert standing.deploy(new, manager="supervisor").digest == new.digest
    assert_one_whole_release(standing, new)


@pytest.mark.fault(
    "F13 the undoing of a failed installation is killed, before or after its line in the journal",
    outcome="the old release serves on; the next operation ends what was begun, and the predecessor is what it was",
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("end", "model"), [("rolled back", {"crash_in_agent": True}), ("refused", {"class": 0})])
def test_an_undoing_that_is_killed(standing: Board, tmp_path: Path, when: str, end: str, model: dict[str, Any]) -> None:
    old = standing.bundle(score=0.5)
    if serving(standing)["release"] != old.digest:
        assert install(standing, old).code == 0
    before = standing.names()
    bad = standing.bundle(golden_of=old if end == "refused" else None, **model)
    killed = AT_STEP.format(step=end, when=when, what="kill", sign=str(tmp_path / "met"))
    assert install(standing, bad, killed).code == -9
    assert recover(standing).code == 0
    assert_one_whole_release(standing, old)
    assert standing.names() == before
