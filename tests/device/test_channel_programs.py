"""A channel brings newer device programs: they are tried, and then they poll. What does not start does not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, Board
from channels import Shelf, Static, serving
from editions import NEW, Edition, zipped
from faulty import assert_one_whole_release
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.device import channel_programs, programs, programs_archive
from edgewright.device.fetch import Folder
from edgewright.device.programs_archive import Damaged, members, version
from edgewright.device.release import Layout, ReleaseError
from edgewright.pipeline import channel as publishing
from edgewright.pipeline import device_program

KILLS = """
import os, signal, sys

class Killed:
    left = int(os.environ.get("KILL_AT", "0"))

def killing(name):
    before = getattr(os, name)
    def step(*words, **named):
        ours = [str(word) for word in words[:2] if "/tools/" in str(word) or "/channel/programs" in str(word)]
        if (ours or name == "execve") and "--look" not in sys.argv:
            Killed.left -= 1
            if Killed.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return before(*words, **named)
    setattr(os, name, step)

if Killed.left:
    for name in ("rename", "replace", "symlink", "unlink", "execve"):
        killing(name)
"""
"""On the path of a process: it is killed before its KILL_AT-th change of the programs."""


OLD = Edition(journal="# older\n")


class Device:
    """A device folder that follows a folder, at first as the programs OLD."""

    def __init__(self, board: Board, bakery: Bakery) -> None:
        self.board, self.root, self.bakery, self.to, self.keys = (
            board, board.root, bakery, board.folder / "to", board.folder / "keys"
        )  # fmt: skip
        self.url, self.link = self.to.as_uri(), board.root / "channel/programs"
        self.started = OLD.put(self.root)
        (board.folder / "kills").mkdir()
        (board.folder / "kills/sitecustomize.py").write_text(KILLS)
        self.kills = board.folder / "kills"

    def publish(self, **bundle: Any) -> Path:
        return publishing.publish(self.bakery.bundle(**bundle), self.to, "stable", self.keys).root

    def command(self, *words: str | Path) -> list[str]:
        short = ("--pause", "0.01", "--attempts", "2")
        return [sys.executable, "-m", "edgewright.device.channel", str(self.root), self.url, "--channel", "stable",
                *short, *map(str, words)]  # fmt: skip

    def environment(self, kill_at: int = 0) -> dict[str, str]:
        code = self.link if self.link.exists() else self.started
        return {**os.environ, "PYTHONPATH": f"{code}:{self.kills}", "KILL_AT": str(kill_at)}

    def run(self, *words: str | Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        environment = self.environment(kill_at)
        return subprocess.run(self.command(*words), env=environment, capture_output=True, text=True, timeout=120)

    def poll(self, *words: str | Path) -> dict[str, Any]:
        done = self.run(*words)
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        well = told["outcome"] in ("installed", "current", "kept") and "refused" not in told.get("programs", {})
        assert (done.returncode == 0) == well, done
        return dict(told)

    def serves(self, **bundle: Any) -> None:
        assert_one_whole_release(self.board, self.bakery.bundle(**bundle))

    def linked(self, name: str = "programs") -> str:
        return (self.root / "channel" / name).readlink().name

    def assert_programs_work(self) -> None:
        """What the service would be started from is whole, and starts."""
        folder = self.root / "channel/programs"
        edition = {NEW: device_program.archive(), OLD.version: OLD.archive}[self.linked()]
        for name, data in members(edition).items():
            assert (folder / name).read_bytes() == data
        done = subprocess.run([*self.command(), "--help"], env=self.environment(), capture_output=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def device(board: Board, bakery: Bakery) -> Device:
    return Device(board, bakery)


@pytest.fixture
def following(device: Device, monkeypatch: pytest.MonkeyPatch) -> Device:
    """It serves a release of its channel, and its programs are those of the channel: OLD."""
    OLD.publish(monkeypatch, device.publish)
    told = device.poll("--trust", device.keys / "metadata/1.root.json")
    assert told["outcome"] == "installed" and told["programs"] == {"version": OLD.version}, told
    assert device.linked() == OLD.version
    return device


def test_newer_programs_arrive_and_install_the_release(device: Device) -> None:
    told = device.poll("--trust", device.publish())
    assert told["outcome"] == "installed" and told["programs"] == {"version": NEW}, told
    assert (device.linked(), device.linked("programs-before")) == (NEW, OLD.version)
    device.assert_programs_work()
    supervisor = json.loads((device.root / "run/state.json").read_text())["code"]
    assert supervisor == str(device.root.resolve() / "tools" / NEW / "edgewright/device")
    again = device.poll()
    assert again["outcome"] == "current" and again["received"] < 10_000, again


@pytest.mark.slow
@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"tuf": "\nnonsense nonsense\n"}, "do not start here: SyntaxError"),
        ({"channel_programs": "\nsys.exit(7)\n"}, "do not start here: they said nothing"),
        ({"installation": "\nraise ImportError('gone')\n"}, "do not start here: ImportError: gone"),
    ],
)
def test_programs_that_do_not_start_are_refused_and_those_before_go_on(
    following: Device, monkeypatch: pytest.MonkeyPatch, added: dict[str, str], said: str
) -> None:
    broken = Edition(**added)
    broken.publish(monkeypatch, lambda: following.publish(bias=0.25))
    told = following.poll()
    assert told["outcome"] == "installed" and told["programs"]["version"] == OLD.version
    assert told["programs"]["refused"] == broken.version and said in told["programs"]["message"], told
    again = following.poll()
    assert again["programs"] == told["programs"] and again["received"] < 10_000, "it is not fetched again"
    following.serves(bias=0.25)
    following.assert_programs_work()
    following.publish()
    assert following.poll()["programs"] == {"version": NEW}
    following.assert_programs_work()


def test_an_archive_with_a_bit_flipped_is_not_kept(following: Device) -> None:
    following.publish()
    digest = hashlib.sha256(device_program.archive()).hexdigest()
    blob = following.to / "targets" / f"{digest}.{digest}"
    whole = blob.read_bytes()
    blob.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    told = following.poll()
    assert told["outcome"] == "unreachable" and "damaged" in told["message"], told
    assert following.linked() == OLD.version and not (following.root / "tools" / NEW).exists()
    following.serves()
    blob.write_bytes(whole)
    assert following.poll()["programs"] == {"version": NEW}


def test_programs_that_hang_in_their_trial_are_refused(following: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = Edition(channel_programs="\nTRIAL_S = 3.0\n")
    impatient.publish(monkeypatch, following.publish)
    assert following.poll()["programs"] == {"version": impatient.version}
    Edition(tuf="\nimport time\ntime.sleep(600)\n").publish(monkeypatch, following.publish)
    told = following.poll()
    assert told["outcome"] == "current" and "do not come to an end" in told["programs"]["message"], told


def test_a_server_that_falls_silent_during_the_trial_says_nothing_of_the_programs(following: Device) -> None:
    following.publish()
    shelf, digest = Shelf(following.to), hashlib.sha256(device_program.archive()).hexdigest()

    def silent(handler: Static) -> bool:
        if any(digest in path for path, _ in shelf.asked[:-1]):
            handler.send_error(503)
            return True
        return False

    shelf.misbehave, following.url = silent, shelf.url
    with serving(shelf):
        told = following.poll()
        assert told["outcome"] == "unreachable" and "503" in told["message"], told
        assert following.linked() == OLD.version
        shelf.misbehave = None
        assert following.poll()["programs"] == {"version": NEW}


def test_programs_under_the_version_of_others_are_refused(following: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    Edition(journal="# other\n").publish(monkeypatch, following.publish, named=NEW)
    told = following.poll()["programs"]
    assert told["refused"] == NEW and "has other programs than it says" in told["message"]
    assert not (following.root / "tools" / NEW).exists()


@pytest.mark.slow
def test_killed_at_any_step_the_next_poll_goes_on(following: Device) -> None:
    following.publish()
    kept = {name: following.root.parent / name for name in ("tools", "channel")}
    for name, place in kept.items():
        shutil.copytree(following.root / name, place, symlinks=True)
    steps = set()
    for at in range(1, 40):
        for name, place in kept.items():
            shutil.rmtree(following.root / name)
            shutil.copytree(place, following.root / name, symlinks=True)
        done = following.run(kill_at=at)
        steps.add(following.linked())
        following.assert_programs_work()
        if done.returncode == 0:
            break
        assert done.returncode == -9 and not done.stdout, done
        told = following.poll()
        assert told["outcome"] == "current" and told["programs"] == {"version": NEW}, (at, told)
        assert following.linked() == NEW and not list((following.root / "tools").glob("*.making"))
    assert at > 7 and steps == {OLD.version, NEW}
    following.serves()


def test_a_process_that_polls_for_ever_goes_on_as_the_new_programs(following: Device, tmp_path: Path) -> None:
    argv = following.command("--every", "0.5")
    with subprocess.Popen(argv, env=following.environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["programs"] == {"version": OLD.version}
            following.publish()
            deadline = time.monotonic() + 60
            while (told := json.loads(process.stdout.readline()))["programs"] != {"version": NEW}:
                assert time.monotonic() < deadline, told
            assert told["outcome"] == "current"
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[:-1]
            assert [word.decode() for word in words] == argv
        finally:
            process.kill()


def test_a_program_file_that_has_rotted_is_mended(following: Device) -> None:
    path = following.root / "tools" / OLD.version / "edgewright/device/journal.py"
    path.write_bytes(path.read_bytes() + b"# rot\n")
    assert following.poll()["programs"] == {"version": OLD.version}
    following.assert_programs_work()


def test_programs_started_beside_others_of_the_same_name_are_refused(following: Device, tmp_path: Path) -> None:
    """`python -m` looks in the folder that it is started in first."""
    following.publish()
    done = subprocess.run(
        following.command(), env=following.environment(), capture_output=True, text=True, cwd=following.started
    )
    told = json.loads(done.stdout)
    assert told["outcome"] == "current" and "come before" in told["programs"]["message"], told
    assert following.linked() == OLD.version
    assert following.poll()["programs"] == {"version": NEW}, "a process that is started well tries again"


def test_versions_in_use_are_not_removed(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    layout.make()
    editions = [Edition(journal=f"# {number}\n") for number in range(7)]
    folders = [edition.put(tmp_path) for edition in editions]
    for number, folder in enumerate(folders):
        os.utime(folder, (number, number))
    (tmp_path / "channel").mkdir()
    for name, edition in (("programs", editions[0]), ("programs-before", editions[1])):
        (tmp_path / "channel" / name).symlink_to(f"../tools/{edition.version}")
    with programs.held(str(folders[2])):
        programs.collect(layout)
        assert [folder.exists() for folder in folders] == [True, True, True, False, True, True, True]
    programs.collect(layout)
    assert [folder.exists() for folder in folders] == [True, True, False, False, True, True, True]
    with pytest.raises(ReleaseError), programs.held(str(folders[2])):
        pass


def test_versions_that_nobody_uses_do_not_pile_up(following: Device) -> None:
    for number in range(5):
        os.utime(Edition(journal=f"# {number}\n").put(following.root), (number, number))
    following.publish()
    assert following.poll()["programs"] == {"version": NEW}
    there = {path.name for path in (following.root / "tools").iterdir()}
    assert {NEW, OLD.version} < there and len(there) == programs.KEPT


@pytest.mark.parametrize(
    "name",
    ["../x.py", "/etc/x.py", "edgewright/../x.py", "edgewright//x.py", "edgewright/x", "other/x.py", "edgewright/X.py",
     "edgewright/a/b/c/d/e/f.py", "edgewright/x.py\n", "edgewright/.x.py", "complete/x.py"],
)  # fmt: skip
def test_an_archive_with_an_odd_name_is_refused(name: str) -> None:
    with pytest.raises(Damaged, match="odd name"):
        members(zipped({"edgewright/__init__.py": b"", name: b"", "complete": b""}))


def test_an_archive_that_is_no_whole_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"edgewright/__init__.py": b"x" * 1000}
    for data in (
        b"",
        b"PK",
        zipped({}),
        zipped(good),
        zipped({"complete": b"", **good}),
        zipped({**good, "complete": b"1"}),
    ):
        with pytest.raises(Damaged):
            members(data)
    monkeypatch.setattr(programs_archive, "FILES_LIMIT", 999)
    with pytest.raises(Damaged, match="too large"):
        members(zipped({**good, "complete": b""}))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_are_refused_or_are_whole_programs(data: st.DataObject) -> None:
    whole = bytearray(
        zipped({"edgewright/__init__.py": b"a = 1\n" * 9, "edgewright/device/x.py": b"", "complete": b""})
    )
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(whole)))
    with contextlib.suppress(Damaged):
        for name in list(members(bytes(whole[:cut])))[:-1]:
            assert name.startswith("edgewright/") and ".." not in name


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x), max_leaves=4)
    | st.dictionaries(st.sampled_from(["version", "archive", "size"]), st.text("0af", max_size=70) | st.integers())
)
def test_what_a_channel_says_of_programs_in_another_form_is_refused(tmp_path: Path, offered: Any) -> None:
    (tmp_path / "channel").mkdir(exist_ok=True)
    found = channel_programs.Programs(Layout(str(tmp_path)), [])
    told = [found.follow(offered, {}, Folder(tmp_path.as_uri())) for _ in range(2)]
    assert told[0] == told[1] and ("refused" in told[0]) is (offered is not None)
    assert not (tmp_path / "tools").exists()


def test_the_version_of_what_runs_is_that_of_the_archive() -> None:
    assert channel_programs.own_version() == NEW == version(members(device_program.archive()))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_that_is_printed_starts_the_programs_of_the_channel(following: Device, tmp_path: Path) -> None:
    done = following.run("--unit", "--every", "60", "--source", "loop:/media/100% $mine")
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.splitlines()[0].rpartition("/")[2]
    path.write_text(done.stdout)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    words = ["systemd-analyze", "verify", *(["--user"] if os.geteuid() else []), str(path)]
    verified = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert f"PYTHONPATH={following.link}" in done.stdout and '"--source=loop:/media/100%% $$mine"' in done.stdout
    (command,) = [line for line in done.stdout.splitlines() if line.startswith("ExecStart=")]
    argv = [
        word.replace('"', "") for word in command.partition("=")[2].split() if "$" not in word and "100" not in word
    ]
    started = subprocess.run([*argv, "--look"], env={"PYTHONPATH": str(following.link)}, capture_output=True, text=True)
    told = json.loads(started.stdout)
    assert told["outcome"] == "looked" and told["programs"] == {"version": OLD.version}, told


def test_a_channel_without_device_programs_leaves_those_that_are_here(
    following: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that an older edgewright publishes."""
    with monkeypatch.context() as patch:
        described = publishing.canonical
        patch.setattr(
            publishing, "canonical", lambda told: described({k: v for k, v in told.items() if k != "programs"})
        )
        following.publish()
    told = following.poll()
    assert told["outcome"] == "current" and told["programs"] == {"version": OLD.version}
