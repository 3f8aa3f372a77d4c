"""Bits that flip: on the way, in what is stored, in what the installer and the supervisor go by."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from board import Board
from faulty import (
    AT_STEP,
    Installer,
    assert_one_whole_release,
    assert_right_answers,
    hand_over,
    install,
    install_as_it_is,
    power_off,
    recover,
    roll_back,
    serving,
    state,
    supervise,
    wait_for,
)

from edgewright.device import processes
from edgewright.device.durable import sha256_of
from edgewright.pipeline.bundle import Bundle

pytestmark = pytest.mark.slow


def flip(path: Path, at: float = 0.5, bit: int = 3) -> None:
    """Changes one bit at a part of the file's length."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(data)


def stood_up(board: Board) -> tuple[Board, Bundle, Bundle]:
    """A device with a release and one before it; what serves, and what comes next."""
    pair = (board.bundle(score=0.5), board.bundle(score=0.4))
    if not all(any((name or "").endswith(b.digest[:12]) for b in pair) for name in board.names()):
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
    return (board, *pair) if (board.names()[0] or "").endswith(pair[0].digest[:12]) else (board, *pair[::-1])


@pytest.fixture
def standing(old_board: Board) -> tuple[Board, Bundle, Bundle]:
    return stood_up(old_board)


@pytest.fixture
def spoilt(board: Board) -> tuple[Board, Bundle, Bundle]:
    """A device of its own: the test leaves rotten files on it."""
    return stood_up(board)


@pytest.mark.fault(
    "F8 a bit flips in a file or in the manifest on its way to the device",
    outcome="it is refused as damaged, the old release serves on, and once sent again it goes live",
)
@pytest.mark.parametrize("what", ["model/model.json", "golden/golden.json", "manifest"])
def test_on_the_way(standing: tuple[Board, Bundle, Bundle], what: str) -> None:
    board, old, _ = standing
    new = board.bundle(score=0.45)
    digest = new.digest if what == "manifest" else new.files[what]
    hand_over(board, new)
    flip(Path(board.layout.incoming) / digest)
    answer = install_as_it_is(board, new)
    assert answer.code == 3 and f"{digest[:12]} arrived damaged" in answer.message
    assert_one_whole_release(board, old)
    assert install(board, new).code == 0
    assert_one_whole_release(board, new)


@pytest.mark.fault(
    "F8 a bit flips in a stored file that the next release shares",
    outcome="it is found before the installation and sent again: the new release is whole, and so is the one before, "
    "which a rollback serves",
)
def test_in_a_shared_blob(spoilt: tuple[Board, Bundle, Bundle]) -> None:
    board, old, new = spoilt
    blob = Path(board.layout.blob(new.files["app/task.py"]))
    flip(blob)
    release = board.deploy(new, bake_s=0)
    assert sha256_of(str(blob)) == new.files["app/task.py"] and release.sent_bytes > 0
    assert_right_answers(board, new)
    _, previous = board.names()
    assert f"{previous}/app/task.py" in release.mended
    assert_one_whole_release(board, new)
    answer = roll_back(board)
    assert answer.code == 0 and answer.said["name"] == previous, answer
    assert_one_whole_release(board, old)


def spoil(board: Board, name: str, what: str) -> str:
    """One bit of a release's file; how the file is called in what is said of it."""
    own = board.layout.describe(name) or {}
    if what == "manifest":
        flip(Path(board.layout.blob(own["digest"])))
        return "its manifest"
    flip(Path(board.layout.folder(name)) / what, at=0.0 if what == "release.json" else 0.5)
    return what


@pytest.mark.fault(
    "F8 a bit flips in a file, the release.json or the manifest of the release before, and it is rolled back to",
    outcome="refused, with the file that is damaged; the live release serves on, and a deployment mends or replaces it",
)
@pytest.mark.parametrize("what", ["model/model.json", "app/task.py", "release.json", "manifest"])
def test_in_the_release_before(spoilt: tuple[Board, Bundle, Bundle], what: str) -> None:
    board, live, before = spoilt
    name = board.names()[1] or ""
    said = spoil(board, name, what)
    answer = roll_back(board)
    assert answer.code == 3 and answer.said["error"]["kind"] == "rejected", answer
    assert f"{name}, is damaged on this device: {said}." in answer.message
    assert "Deploy" in answer.said["error"]["remedy"]
    assert serving(board)["release"] == live.digest and board.names()[1] == name
    assert_right_answers(board, live)
    board.deploy(before, bake_s=0)
    assert_one_whole_release(board, before)
    assert roll_back(board).code == 0
    assert_one_whole_release(board, live)


@pytest.mark.fault(
    "F14 a release that crashes at every start, and the release before is damaged",
    outcome="the damaged one is not gone back to, and the state names it; once the live one starts again it serves",
)
@pytest.mark.parametrize("what", ["model/model.json", "release.json"])
def test_in_the_release_before_of_one_that_crashes(board: Board, tmp_path: Path, what: str) -> None:
    crutch = tmp_path / "crutch"
    crutch.touch()
    before, live = board.bundle(score=0.4), board.bundle(needs_file=str(crutch))
    started = supervise(board, PAUSES_S=(0.1, 0.2), RETRY_S=1.0)
    for bundle in (before, live):
        assert install(board, bundle, tries=2).code == 0
    current, previous = board.names()
    said = spoil(board, previous or "", what)
    crutch.unlink()
    processes.end(processes.identity(serving(board)["pid"]), 0.0)
    wait_for(lambda: state(board).get("phase") == "failed")
    assert f"{previous} failed before: it is damaged on this device ({said})" in state(board)["reason"]
    assert board.names() == (current, previous)
    assert "damaged" in roll_back(board).message
    crutch.touch()
    wait_for(lambda: serving(board).get("release") == live.digest)
    assert_right_answers(board, live)
    assert board.names() == (current, previous)
    processes.end(processes.identity(started.pid), 12.0)
    started.wait()


@pytest.mark.fault(
    "F8 a bit flips in a file of the release that serves, and the same release is deployed again",
    outcome="`exec-golden` names the file; the deployment sends it again, and an agent that was started anew serves",
)
@pytest.mark.parametrize("what", ["model/model.json", "app/task.py", "manifest"])
def test_in_the_release_that_is_deployed_again(spoilt: tuple[Board, Bundle, Bundle], what: str) -> None:
    board, live, _ = spoilt
    names, agent = board.names(), serving(board)["pid"]
    said = spoil(board, names[0] or "", what)
    answer = Installer(board, "golden", {}).answer()
    assert f"{names[0]}, is damaged on this device: {said}." in answer.message, answer
    release = board.deploy(live, bake_s=0)
    assert not release.unchanged and release.sent_bytes > 0
    assert (f"{names[0]}/{what}" in release.mended) == (what != "manifest")
    assert (serving(board)["pid"] == agent) == (what == "manifest"), "it does not go on with what it has read"
    assert board.names() == names
    assert_one_whole_release(board, live)
    assert Installer(board, "golden", {}).answer().said["mismatches"] == []
    assert board.deploy(live, bake_s=0).unchanged


@pytest.mark.fault(
    "F8 a bit flips in the manifest or the release.json of what serves",
    outcome="it serves on, what is not understood is not cleared up, and the next release goes live",
)
@pytest.mark.parametrize("what", ["manifest", "release.json"])
def test_in_what_serves(spoilt: tuple[Board, Bundle, Bundle], what: str) -> None:
    board, old, new = spoilt
    current = board.names()[0] or ""
    rotten = board.layout.blob(old.digest) if what == "manifest" else board.layout.folder(current) + "/release.json"
    flip(Path(rotten), at=0.0, bit=0)
    assert_right_answers(board, old)
    assert install(board, new).code == 0
    assert serving(board)["release"] == new.digest
    assert_right_answers(board, new)
    assert board.names()[1] == current and Path(board.layout.folder(current)).is_dir()


@pytest.mark.fault(
    "F8 a bit flips in the journal of an installation that was cut",
    outcome="what serves is one whole release; the next operation ends the rest, or keeps what `current` names",
)
def test_in_the_journal(
    standing: tuple[Board, Bundle, Bundle], tmp_path: Path, injected: Callable[[int], None]
) -> None:
    board, old, new = standing
    dice = random.Random(8)
    for step in ("begun", "assembled", "switched", "healthy"):
        cut = AT_STEP.format(step=step, when="after", what="kill", sign=str(tmp_path / "met"))
        assert install(board, new, cut).code == -9
        journal = Path(board.layout.journal)
        lines = journal.read_bytes().splitlines(keepends=True)
        begun = max(n for n, line in enumerate(lines) if b'"step": "begun"' in line)
        last, start = sum(map(len, lines)), sum(map(len, lines[:begun]))
        data = bytearray(journal.read_bytes())
        data[dice.randrange(start, last)] ^= 1 << dice.randrange(8)
        journal.write_bytes(data)
        answer = recover(board)
        assert answer.code == 0, answer
        if assert_one_whole_release(board, old, new) == new:
            old, new = new, old
    injected(4)


@pytest.mark.fault(
    "F8 a bit flips in a name that the journal gives, of an installation that was cut after `current` was switched",
    outcome="what serves goes on serving, and is what `current` names",
)
@pytest.mark.parametrize("name", ["release", "old", "was_running"])
def test_in_a_name_of_the_journal(standing: tuple[Board, Bundle, Bundle], tmp_path: Path, name: str) -> None:
    board, old, new = standing
    cut = AT_STEP.format(step="switched", when="after", what="kill", sign=str(tmp_path / "met"))
    assert install(board, new, cut).code == -9
    journal = Path(board.layout.journal)
    data = bytearray(journal.read_bytes())
    line = data.rindex(b"\n", 0, data.rindex(b'"step": "begun"'))
    data[data.index(f'"{name}"'.encode(), line) + 1] ^= 2
    journal.write_bytes(data)
    assert recover(board).code == 0
    assert_one_whole_release(board, old)


@pytest.mark.fault(
    "F8 run/state.json of the supervisor is damaged while it serves",
    outcome="it is written anew within a second, the service answers on, and the next release goes live",
)
def test_in_the_state(standing: tuple[Board, Bundle, Bundle]) -> None:
    board, old, new = standing
    flip(Path(board.layout.state), at=0.0, bit=0)
    wait_for(lambda: state(board))
    assert_right_answers(board, old)
    assert install(board, new).code == 0
    assert_one_whole_release(board, new)


@pytest.mark.fault(
    "F8 the link `current` names nothing any more, and the device starts again",
    outcome="nothing wrong is served; the next deployment makes a whole release live",
)
@pytest.mark.parametrize("target", ["releases/9-0123456789ab", "releases/../../../etc"])
def test_in_the_link(standing: tuple[Board, Bundle, Bundle], target: str) -> None:
    board, old, new = standing
    power_off(board)
    current = Path(board.layout.current)
    current.unlink()
    current.symlink_to(target)
    started = supervise(board)
    assert not serving(board) and state(board)["phase"] == "empty"
    assert install(board, new).code == 0
    assert_one_whole_release(board, new)
    assert install(board, old).code == 0
    assert_one_whole_release(board, old)
    power_off(board)
    started.wait()
