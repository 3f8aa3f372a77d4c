"""A disk that takes no more: no space at any write, a real full file system, no inodes, read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board import Bakery, Board
from faulty import (
    assert_one_whole_release,
    assert_right_answers,
    hand_over,
    install,
    install_as_it_is,
    recovered,
    roll_back,
    serving,
    supervise,
    told,
    wait_for,
)

from edgewright.device import processes, reserve
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.stop import stop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="elsewhere: mounting needs root on Linux"),
]
SIZE = 32 << 20

PLACES = """
import os, sys
root, wanted, seen = sys.argv[1], {wanted!r}, set()
log = open({log!r}, "a", buffering=1)
def met(event, path):
    path = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    if not path.startswith(root) or "/run/compiled" in path:
        return
    frame, names = sys._getframe(2), []
    while frame is not None:
        if "edgewright" in frame.f_code.co_filename:
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    place = event + " in " + "/".join(reversed(names))
    if place in seen:
        return
    seen.add(place)
    log.write(place + "\\n")
    if place == wanted:
        raise OSError(28, "No space left on device")
def heard(event, words):
    if event == "open" and words[2] & os.O_CREAT:
        met("open", words[0])
    elif event in ("os.rename", "os.link", "os.symlink"):
        met(event[3:], words[1])
    elif event == "os.mkdir":
        met("mkdir", words[0])
def synced(descriptor, fsync=os.fsync):
    met("fsync", os.readlink("/proc/self/fd/%d" % descriptor))
    fsync(descriptor)
sys.addaudithook(heard)
os.fsync = synced
"""


def next_after(board: Board, pair: tuple[Bundle, Bundle]) -> tuple[Bundle, Bundle]:
    """What serves of the two, and the other."""
    return pair if (board.names()[0] or "").endswith(pair[0].digest[:12]) else pair[::-1]


def assert_told(board: Board, new: Bundle, recovered: str) -> None:
    """If the failed installation of `new` had begun, who asks later hears of it, too."""
    begun = [record for record in board.journal() if record["step"] == "begun"][-1]
    if not begun["release"].endswith(new.digest[:12]):
        return  # it had not begun
    last = told(board)["last"]
    assert last["release"] == begun["release"] and not last["over"], last
    assert recovered or "No space left on device" in last["reason"], last


@pytest.mark.fault(
    "F6 no space at any place of the installer that writes",
    outcome="the old release serves on with its predecessor and the error says that the disk is full, or the file "
    "could be done without",
)
def test_no_space_at_any_write(old_board: Board, tmp_path: Path, injected: Callable[[int], None]) -> None:
    board, pair = old_board, (old_board.bundle(), old_board.bundle(score=0.4))
    for bundle in reversed(pair):
        assert install(board, bundle).code == 0
    log = tmp_path / "places"
    assert install(board, pair[1], PLACES.format(wanted="", log=str(log))).code == 0
    places = list(dict.fromkeys(log.read_text().splitlines()))
    assert len(places) > 12, places
    for place in places:
        before, (old, new) = board.names(), next_after(board, pair)
        answer = install(board, new, PLACES.format(wanted=place, log=str(log)))
        if answer.code == 0:
            assert_one_whole_release(board, new)
            continue
        assert "disk is full" in answer.message, (place, answer)
        said = recovered(board)
        assert_told(board, new, said)
        assert_one_whole_release(board, old)
        assert board.names() == before, place
    injected(len(places))


@contextlib.contextmanager
def mounted(board: Board, *options: str) -> Iterator[None]:
    board.root.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join((f"size={SIZE}", *options)), "tmpfs", str(board.root)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"elsewhere: no tmpfs can be mounted: {done.stderr}")
    try:
        yield
    finally:
        stop(board.store)
        while subprocess.run(["umount", "-l", str(board.root)], capture_output=True).returncode == 0:
            pass


@pytest.mark.fault(
    "F6 a file system that is full, with more and more space left",
    outcome="the old release serves on and the error says that the disk is full; with space the next one succeeds",
)
def test_a_full_disk(tmp_path: Path, bakery: Bakery, injected: Callable[[int], None]) -> None:
    board = Board(tmp_path, bakery)
    pair, refused = (board.bundle(), board.bundle(score=0.4)), 0
    with mounted(board):
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
        for left in (0, 4, 8, 12, 20, 40, 76, 140):
            old, new = next_after(board, pair)
            hand_over(board, new)
            leave(board, left << 10)
            answer = install(board, new)
            (board.root / "ballast").unlink()
            if answer.code:
                refused += 1
                assert "disk is full" in answer.message, answer
                assert_told(board, new, recovered(board))
                assert_one_whole_release(board, old)
            else:
                assert_one_whole_release(board, new)
        assert refused
        old, new = next_after(board, pair)
        assert install(board, new).code == 0
        assert_one_whole_release(board, new)
    injected(8)


def leave(board: Board, size: int) -> None:
    """Fills the disk but for `size` bytes."""
    with (board.root / "ballast").open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while out.write(b"\0" * 4096):
            pass
    if size:
        os.truncate(board.root / "ballast", max(0, (board.root / "ballast").stat().st_size - size))


@pytest.mark.fault(
    "F6 a file system without inodes",
    outcome="the old release serves on and the error says that the disk is full; with inodes the next one succeeds",
)
def test_no_inodes(tmp_path: Path, bakery: Bakery, injected: Callable[[int], None]) -> None:
    board = Board(tmp_path, bakery)
    pair = (board.bundle(), board.bundle(score=0.4))
    with mounted(board, "nr_inodes=2000"):
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
        for left in (0, 1, 4, 8):
            old, new = next_after(board, pair)
            hand_over(board, new)
            crowd = board.root / "crowd"
            crowd.mkdir()
            with contextlib.suppress(OSError):
                for number in range(2000):
                    (crowd / str(number)).touch()
            for number in range(left):
                (crowd / str(number)).unlink()
            answer = install(board, new)
            assert answer.code and "disk is full" in answer.message, answer
            for path in crowd.iterdir():
                path.unlink()
            crowd.rmdir()
            assert_told(board, new, recovered(board))
            assert_one_whole_release(board, old)
        assert install(board, new).code == 0
        assert_one_whole_release(board, new)
    injected(4)


@pytest.mark.fault(
    "F6 a file system that has become read-only",
    outcome="the old release serves on, and the error says that the device folder cannot be written",
)
def test_a_read_only_disk(tmp_path: Path, bakery: Bakery) -> None:
    board = Board(tmp_path, bakery)
    old, new = board.bundle(), board.bundle(score=0.4)
    with mounted(board):
        assert install(board, old).code == 0
        hand_over(board, new)
        # What the service has open stays open, as on a disk that the kernel makes read-only after an error.
        subprocess.run(["mount", "--bind", str(board.root), str(board.root)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(board.root)], check=True)
        answer = install_as_it_is(board, new)
        assert answer.code == 3 and "Read-only file system" in answer.message, answer
        assert_one_whole_release(board, old)
        subprocess.run(["umount", str(board.root)], check=True)
        assert install(board, new).code == 0
        assert_one_whole_release(board, new)


def crowded(board: Board, how: str) -> Callable[[], None]:
    """Nothing more goes onto the disk, for want of bytes or of inodes; how to clear that up."""
    if how == "bytes":
        leave(board, 0)
        return (board.root / "ballast").unlink
    crowd = board.root / "crowd"
    crowd.mkdir()
    with contextlib.suppress(OSError):
        for number in range(2000):
            (crowd / str(number)).touch()
    return lambda: shutil.rmtree(crowd)


@pytest.mark.fault(
    "F6 a file system that is full, of bytes or of inodes, when it is rolled back",
    outcome="the release before serves: what a rollback writes was kept back for it",
)
@pytest.mark.parametrize("how", ["bytes", "inodes"])
def test_a_rollback_on_a_full_disk(tmp_path: Path, bakery: Bakery, how: str) -> None:
    board = Board(tmp_path, bakery)
    pair = (board.bundle(), board.bundle(score=0.4))
    with mounted(board, "nr_inodes=2000"):
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
        names = board.names()
        for wanted in (pair[1], pair[0], pair[1]):
            clear = crowded(board, how)
            answer = roll_back(board)
            assert answer.code == 0, answer
            assert_one_whole_release(board, wanted)
            clear()
        assert board.names() == names[::-1]


@pytest.mark.fault(
    "F6 a file system that is full when it is rolled back, with nothing kept back, and more and more space left",
    outcome="the release before serves, or the live one as before, and the error says that the disk is full",
)
def test_a_rollback_on_a_full_disk_without_reserve(
    tmp_path: Path, bakery: Bakery, injected: Callable[..., None]
) -> None:
    board = Board(tmp_path, bakery)
    pair, refused, left = (board.bundle(), board.bundle(score=0.4)), 0, (0, 4, 8, 12, 16, 24, 40)
    with mounted(board):
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
        for size in left:
            old, new = next_after(board, pair)
            names = board.names()
            reserve.spend(board.layout)
            leave(board, size << 10)
            answer = roll_back(board)
            (board.root / "ballast").unlink()
            if answer.code:
                refused += 1
                assert "disk is full" in answer.message or "No space left" in answer.message, answer
                recovered(board)
                assert_one_whole_release(board, old)
                assert board.names() == names
            else:
                assert_one_whole_release(board, new)
        assert 1 <= refused < len(left)
    injected(len(left))


@pytest.mark.fault(
    "F6 a file system that is full, of bytes or of inodes, when a release begins to crash at every start",
    outcome="its starts are counted all the same; the device goes back to the release before by itself, and says so",
)
@pytest.mark.parametrize("how", ["bytes", "inodes"])
def test_the_way_back_on_a_full_disk(tmp_path: Path, bakery: Bakery, how: str) -> None:
    board, crutch = Board(tmp_path, bakery), tmp_path / "crutch"
    crutch.touch()
    before, live = board.bundle(score=0.4), board.bundle(needs_file=str(crutch))
    with mounted(board, "nr_inodes=2000"):
        started = supervise(board, PAUSES_S=(0.1, 0.2))
        for bundle in (before, live):
            assert install(board, bundle, tries=2).code == 0
        names = board.names()
        clear = crowded(board, how)
        crutch.unlink()
        processes.end(processes.identity(serving(board)["pid"]), 0.0)
        wait_for(lambda: serving(board).get("release") == before.digest)
        assert_one_whole_release(board, before)
        assert board.names() == names[::-1]
        reverted = told(board)["reverted"]
        assert (reverted["from"], reverted["to"]) == names and "2 starts" in reverted["reason"]
        assert board.journal()[-1]["step"] == "reverted"
        clear()
        assert_right_answers(board, before)
        processes.end(processes.identity(started.pid), 12.0)
        started.wait()
