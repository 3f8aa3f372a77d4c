"""The power goes at any moment of an installation: every prefix of the recorded trace, and every way to lose what no
fsync had put on the disk yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from trace import RECORDER, Disk, changes, lay_out, prefixes
from typing import Any

import pytest
from board import Board
from faulty import assert_one_whole_release, hand_over, install, power_off, recover, supervise

from edgewright.device.journal import Journal
from edgewright.device.release import parse_manifest
from edgewright.pipeline.bundle import Bundle

pytestmark = pytest.mark.slow
NO_HARD_LINKS = """
import os
def refused(*words, **more):
    raise OSError(95, "Operation not supported")
os.link = refused
"""


def recorded(board: Board, bundle: Bundle, tmp_path: Path, fault: str = "") -> tuple[Disk, list[list[Any]]]:
    """The disk before an installation, and what the installer did to it."""
    hand_over(board, bundle)
    before, trace = Disk(board.root), tmp_path / "trace"
    done = install(board, bundle, fault + RECORDER.format(trace=str(trace)))
    assert done.code == 0, done
    power_off(board)
    return before, changes(trace)


sha256 = cache(lambda data: hashlib.sha256(data).hexdigest())


def whole(state: dict[str, Any], link: str) -> str:
    """The release that a link names, "" for none. AssertionError where it is not whole."""
    if link not in state:
        return ""
    folder = state[link].target
    own = json.loads(state[f"{folder}/release.json"])
    manifest = state[f"blobs/sha256/{own['digest']}"]
    assert sha256(manifest) == own["digest"]
    layers = parse_manifest(manifest).layers
    for layer in layers:
        assert sha256(state[f"{folder}/{layer.path}"]) == layer.digest, layer.path
    there = {path for path, inside in state.items() if path.startswith(folder + "/") and isinstance(inside, bytes)}
    assert there == {f"{folder}/{layer.path}" for layer in layers} | {f"{folder}/release.json"}
    return str(Path(folder).name)


def last_step(state: dict[str, Any]) -> str:
    lines = state.get("journal.jsonl", b"").decode("utf-8", "replace").splitlines(keepends=True)
    return str(json.loads(lines[-1])["step"]) if lines and lines[-1].endswith("}\n") else ""


@pytest.fixture
def standing(board: Board) -> Board:
    """A device with a release and one before it."""
    for score in (0.3, 0.5):
        assert install(board, board.bundle(score=score)).code == 0
    return board


@pytest.mark.fault(
    "F5 the power goes at any write, fsync or rename of an installation",
    outcome="at every moment `current` names a whole release, and `previous` too; started again the device serves it, "
    "and one whole release remains once the installer has recovered",
)
def test_power_goes_at_any_write(standing: Board, tmp_path: Path, injected: Callable[..., None]) -> None:
    board, old, new = standing, standing.bundle(score=0.5), standing.bundle(score=0.4)
    before, made = recorded(board, new, tmp_path)
    count, met = 0, {}
    for state in prefixes(before, made):
        count += 1
        met[whole(state, "current"), whole(state, "previous"), last_step(state)] = state
    assert count > 100 and {name[:2] for name, _, _ in met} == {"2-", "3-"}, "the trace is that of an installation"
    for state in met.values():
        lay_out(state, board.root)
        started = supervise(board)
        assert_one_whole_release(board, old, new)
        assert recover(board).code == 0
        assert_one_whole_release(board, old, new)
        assert Journal(board.layout.journal).open_installation() is None
        os.kill(started.pid, signal.SIGTERM)
        started.wait()
    injected(count, asked=len(met))


@pytest.mark.fault(
    "F5 the power goes at any write, on a file system without hard links",
    outcome="at every moment `current` names a whole release, and `previous` too",
)
def test_power_goes_where_files_are_copied(standing: Board, tmp_path: Path, injected: Callable[..., None]) -> None:
    before, made = recorded(standing, standing.bundle(score=0.4), tmp_path, NO_HARD_LINKS)
    count = 0
    for state in prefixes(before, made):
        count += 1
        assert whole(state, "current") and whole(state, "previous")
    assert count > 100
    injected(count)


@pytest.mark.fault(
    "F5 the power goes at any write of a device's very first installation",
    outcome="no release or a whole one; the next installation succeeds",
)
def test_power_goes_at_the_first_installation(board: Board, tmp_path: Path, injected: Callable[..., None]) -> None:
    bundle = board.bundle()
    before, made = recorded(board, bundle, tmp_path)
    states = list(prefixes(before, made))
    assert {whole(state, "current")[:2] for state in states} == {"", "1-"}
    tried = (states[len(states) // 3], states[-1])
    injected(len(states), asked=len(tried))
    for state in tried:
        lay_out(state, board.root)
        assert install(board, bundle).code == 0
        assert_one_whole_release(board, bundle)
        power_off(board)


def test_the_replay_finds_what_a_missing_fsync_would_cost(standing: Board, tmp_path: Path) -> None:
    before, made = recorded(standing, standing.bundle(score=0.4), tmp_path)
    for kind in ("journal.jsonl", "releases", "."):
        assert [change for change in made if change[:2] == ["fsync", kind]], kind
    forgetful = [change for change in made if not (change[0] == "fsync" and "releases" in change[1])]
    with pytest.raises((AssertionError, KeyError, ValueError)):
        for state in prefixes(before, forgetful):
            whole(state, "current")
