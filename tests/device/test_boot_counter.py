"""A release that does not last is left for the one before, by the device alone: real supervisors, real agents."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import tiny
from board import ask, health
from survival import asked

import edgewright
from edgewright.device import boot_counter, durable, install, processes, supervise
from edgewright.device.boot_counter import ENDS, ENDS_S, BootCounter, alone
from edgewright.device.journal import Journal
from edgewright.device.release import Layout
from edgewright.device.serving import Serving

BOOT = """
import sys
from edgewright.device import boot_counter, supervise
if sys.argv[2]:
    boot_counter.boot_id = lambda: sys.argv[2]
supervise.STEADY_S = float(sys.argv[3])
sys.exit(supervise.main([sys.argv[1]]))
"""
OLD, NEW, CUT = "1-" + "a" * 12, "2-" + "b" * 12, "3-" + "c" * 12
SOURCE = Path(edgewright.__file__).parent.parent


class Device:
    """A device folder with two releases, laid out as an installer would have."""

    def __init__(self, root: Path, tries: int = 2) -> None:
        self.layout, self._tries = Layout(str(root)), tries
        self.layout.make()
        self._files: dict[str, dict[str, str]] = {}
        self.serving, self.boots = Serving(self.layout), BootCounter(self.layout)

    def release(self, name: str, **model: Any) -> None:
        folder = tiny.service(Path(self.layout.folder(name)), **model)
        number, digest = name.split("-")
        serve = {"tries": self._tries, "watchdog_s": 2}
        durable.write_json(str(folder / "release.json"), {"number": int(number), "digest": digest, "serve": serve})
        self._files[name] = _digests(folder)

    def link(self, current: str, previous: str | None) -> None:
        self.layout.point(self.layout.current, current)
        self.layout.point(self.layout.previous, previous)

    def names(self) -> tuple[str | None, str | None]:
        return self.layout.linked(self.layout.current), self.layout.linked(self.layout.previous)

    def boot(self, boot_id: str = "", steady_s: float = supervise.STEADY_S) -> subprocess.Popen[bytes]:
        """The supervisor, started as a boot would (that of `boot_id`): nobody has wished anything."""
        return subprocess.Popen(
            [sys.executable, "-c", BOOT, self.layout.root, boot_id, str(steady_s)],
            stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(SOURCE)}, start_new_session=True,
        )  # fmt: skip

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"not in time: {what}; {self.serving.state()}"
            time.sleep(0.05)

    def lasts(self, name: str) -> dict[str, Any]:
        """Its agent, once it counts as having started well."""

        def lasts() -> bool:
            state, lasting = self.serving.state(), self.known().get("lasting") or {}
            runs = processes.alive(state.get("supervisor")) and processes.alive(state.get("agent"))
            return runs and state["phase"] == "serving" and state["release"] == lasting.get("release") == name

        self.wait(lasts, f"{name} has lasted")
        return dict(self.serving.state()["agent"])

    def known(self) -> dict[str, Any]:
        return durable.read_json(str(Path(self.layout.root, "boots.json"))) or {}

    def ends(self) -> int:
        return len((self.known().get("ends") or {}).get("at", []))

    def log(self) -> str:
        return Path(self.layout.log).read_text()

    def assert_answers(self, name: str) -> None:
        """/infer gives what the network of the release computes from a picture; no file of any release has changed."""
        picture = tiny.picture(Path(self.layout.root) / "picture.png")
        wanted = 0.5 + 0.4 * float(cv2.imread(str(picture)).mean()) / 255
        url = "http://{host}:{port}".format(**self.serving.state())
        assert health(url)["release"] == name.split("-")[1]
        status, body = ask(url + "/infer", picture.read_bytes(), "image/png")
        assert status == 200, body
        (found,) = json.loads(body)["predictions"]
        assert abs(found["score"] - wanted) < 1e-3, (found, wanted)
        for kept, files in self._files.items():
            assert _digests(Path(self.layout.folder(kept))) == files, kept
        asked()


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): durable.sha256_of(str(path)) for path in files}


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path / "device")
    yield found
    found.serving.stop()


def test_a_release_that_does_not_start_after_a_boot_is_left_for_the_one_before(device: Device, tmp_path: Path) -> None:
    device.release(OLD)
    device.release(NEW, crash_if=str(tmp_path))
    device.link(NEW, OLD)
    device.boot()
    device.wait(lambda: device.serving.serves(OLD), "the old release serves")
    assert device.names() == (OLD, NEW), "the failed release is kept as previous"
    reverted = device.serving.state()["reverted"]
    assert install.status(device.layout, {})["reverted"] == reverted, "who asks next is told"
    assert (reverted["from"], reverted["to"]) == (NEW, OLD) and "2 starts" in reverted["reason"]
    assert "status 9" in device.boots.failed()[NEW]
    assert Journal(device.layout.journal).read()[-1]["step"] == "reverted"
    device.assert_answers(OLD)


def test_a_release_that_is_ready_and_dies_soon_after_is_left_too(device: Device) -> None:
    device.release(OLD)
    device.release(NEW, die_after_s=0.5)
    device.link(NEW, OLD)
    device.boot()
    device.wait(lambda: device.serving.serves(OLD), "the old release serves")
    assert device.names() == (OLD, NEW)


def test_two_releases_that_fail_do_not_take_turns(device: Device, tmp_path: Path) -> None:
    device.release(OLD, crash_if=str(tmp_path))
    device.release(NEW, crash_if=str(tmp_path))
    device.link(NEW, OLD)
    device.boot()
    device.wait(lambda: device.serving.state().get("phase") == "failed", "it gives up")
    assert device.names() == (OLD, NEW), "it stays on the last that was good"
    assert f"{NEW} failed before" in device.serving.state()["reason"]
    assert [record["step"] for record in Journal(device.layout.journal).read()] == ["reverted"]


def test_starts_are_counted_over_boots_that_cut_the_power(device: Device) -> None:
    device.release(OLD)
    device.release(NEW, delay_ms=1)
    device.link(NEW, OLD)
    for boots, end in ((1, signal.SIGKILL), (1, signal.SIGTERM), (2, signal.SIGKILL)):
        supervisor = device.boot()
        device.wait(lambda: device.serving.serves(NEW), "the new release serves")
        agent = device.serving.state()["agent"]
        supervisor.send_signal(end)
        supervisor.wait()
        processes.wait_gone(agent, 10)
        assert device.boots.tries(NEW) == boots, "an end that was asked for is not held against it"
    device.boot()
    device.wait(lambda: device.serving.serves(OLD), "the third start is not made")
    assert "2 starts" in device.serving.state()["reverted"]["reason"]
    device.assert_answers(OLD)


def test_a_release_that_ends_again_and_again_after_having_lasted_is_left(device: Device) -> None:
    device.release(OLD)
    device.release(NEW)
    device.link(NEW, OLD)
    device.boot(steady_s=0.0)
    for ends in range(ENDS + 1):
        assert device.ends() == ends
        os.kill(device.lasts(NEW)["pid"], signal.SIGKILL)
        device.wait(lambda ends=ends: device.ends() > ends, "the end is counted")
    device.wait(lambda: device.serving.serves(OLD), "the old release serves")
    assert device.names() == (OLD, NEW)
    said = device.serving.state()["reverted"]["reason"]
    assert f"{NEW} ended 4 times in " in said and "after having started" in said and "signal 9" in said
    os.kill(device.lasts(OLD)["pid"], signal.SIGKILL)
    device.wait(lambda: device.serving.serves(OLD), "an end of the old one is borne")
    assert device.serving.follow(20.0) == "" and device.ends() == 0, "whoever wants it now forgets its past"


def test_a_supervisor_that_is_killed_with_its_release_counts_and_a_reboot_does_not(device: Device) -> None:
    device.release(OLD)
    device.release(NEW)
    device.link(NEW, OLD)
    boots = [("x", signal.SIGKILL)] * 2 + [("y", signal.SIGTERM)] + [("y", signal.SIGKILL)] * (ENDS + 1)
    for count, (boot_id, end) in enumerate(boots):
        supervisor = device.boot(boot_id, steady_s=0.0)
        agent = device.lasts(NEW)
        assert device.ends() == (0, 1, 1, 1, 1, 2, 3)[count], "neither the reboot nor the end on request is one"
        supervisor.send_signal(end)
        supervisor.wait()
        processes.wait_gone(agent, 10)
    device.boot("y", steady_s=0.0)
    device.wait(lambda: device.serving.serves(OLD), "the old release serves")
    assert "4 times" in device.serving.state()["reverted"]["reason"]
    device.assert_answers(OLD)


def test_ends_far_apart_are_borne(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    device.release(NEW)
    now = 1e6
    monkeypatch.setattr(boot_counter.time, "monotonic", lambda: now)
    for _ in range(3 * ENDS):
        device.boots.ended(NEW)
        assert device.boots.used_up(NEW, "it ended") == ""
        now += ENDS_S / ENDS + 1
    for _ in range(ENDS):
        device.boots.ended(NEW)
    assert "ended 5 times in 402 s" in device.boots.used_up(NEW, "it ended")
    now += 10 * ENDS_S
    assert device.boots.used_up(NEW, "it ended") == ""


def test_a_release_with_more_tries_may_end_more_often(device: Device) -> None:
    patient = Device(Path(device.layout.root), tries=5)
    patient.release(NEW)
    for ends in range(1, 7):
        device.boots.ended(NEW)
        assert bool(device.boots.used_up(NEW, "it ended")) == (ends > 5)


def test_nothing_is_reverted_while_an_installer_is_at_work(device: Device) -> None:
    device.release(OLD)
    device.release(NEW)
    device.link(NEW, OLD)
    with alone(device.layout) as free:
        assert free and device.boots.revert(NEW, "it fails") is None
    assert device.names() == (NEW, OLD)
    assert device.boots.revert(NEW, "it fails") == OLD and device.names() == (OLD, NEW)
    assert device.boots.revert(OLD, "it fails too") is None and device.names() == (OLD, NEW)


@pytest.mark.parametrize("cut", ["point", "record", "_write"])
def test_a_revert_that_is_cut_is_finished_by_the_next_boot(device: Device, cut: str) -> None:
    device.release(OLD)
    device.release(NEW)
    device.link(NEW, OLD)
    code = f"""
import os, signal, sys
from edgewright.device import boot_counter, journal, release
def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
boots = boot_counter.BootCounter(release.Layout(sys.argv[1]))
owner = {{"point": release.Layout, "record": journal.Journal, "_write": boot_counter.BootCounter}}[{cut!r}]
calls, whole = [], getattr(owner, {cut!r})
def cut(*args, **keywords):
    calls.append(1)
    return killed() if {cut!r} != "_write" or len(calls) == 3 else whole(*args, **keywords)
setattr(owner, {cut!r}, cut)
boots.revert({NEW!r}, "it fails")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, device.layout.root], env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    assert done.returncode == -signal.SIGKILL
    device.boot()
    device.wait(lambda: device.serving.serves(OLD), "the old release serves")
    assert device.names() == (OLD, NEW)
    assert json.loads(Path(device.layout.root, "boots.json").read_text()).get("reverting") is None
    device.assert_answers(OLD)


def test_an_installation_that_was_cut_goes_back_to_what_it_would_have_replaced(device: Device) -> None:
    for name in (OLD, NEW, CUT):
        device.release(name)
    device.link(CUT, OLD)
    Journal(device.layout.journal).record("begun", release=CUT, number=3, old=NEW, was_running=True)
    assert device.boots.revert(CUT, "it fails") == NEW
    assert device.names() == (NEW, OLD), "previous is as it was before the installation"


@pytest.mark.parametrize(("before", "kept"), [(OLD, OLD), (None, None), ("0-" + "0" * 12, CUT), ("../x", CUT)])
def test_an_installation_that_was_cut_before_its_commit_gives_previous_back(
    device: Device, before: str | None, kept: str | None
) -> None:
    for name in (OLD, NEW, CUT):
        device.release(name)
    device.link(CUT, NEW)  # it had pointed `previous` at what it replaces already
    begun = {"old": NEW, "previous": before, "was_running": True}
    Journal(device.layout.journal).record("begun", release=CUT, number=3, **begun)
    assert device.boots.revert(CUT, "it fails") == NEW
    assert device.names() == (NEW, kept), "what is not known is not made up"


def refuse(*_: Any) -> None:
    raise OSError(30, "Read-only file system")


@pytest.fixture
def undecided(device: Device, monkeypatch: pytest.MonkeyPatch) -> Device:
    """It was to go back from NEW, and could not."""
    for name in (OLD, NEW, CUT):
        device.release(name)
    device.link(NEW, OLD)
    with monkeypatch.context() as patched:
        patched.setattr(Layout, "point", refuse)
        with pytest.raises(OSError, match="Read-only"):
            device.boots.revert(NEW, "it fails")
    assert device.known()["reverting"]["from"] == NEW
    return device


def test_a_decision_is_carried_out_later_once(undecided: Device) -> None:
    assert undecided.boots.finish() and undecided.names() == (OLD, NEW)
    assert not undecided.boots.finish() and undecided.names() == (OLD, NEW)


def test_a_decision_is_dropped_when_the_release_lasts_after_all(undecided: Device) -> None:
    with alone(undecided.layout):  # an installer is at work: the supervisor leaves it alone
        undecided.boot(steady_s=0.0)
        undecided.lasts(NEW)
    assert not undecided.boots.finish() and undecided.names() == (NEW, OLD)
    assert undecided.boots.reverted() is None


def test_a_decision_is_dropped_when_somebody_wants_the_release_or_another(undecided: Device) -> None:
    decided = undecided.known()
    undecided.boots.wanted(NEW)
    assert not undecided.boots.finish() and undecided.names() == (NEW, OLD)
    durable.write_json(str(Path(undecided.layout.root, "boots.json")), decided)
    undecided.link(CUT, NEW)
    assert not undecided.boots.finish() and undecided.names() == (CUT, NEW)
    assert "reverting" not in undecided.known()


SLOW = """
import sys, time
from edgewright.device import boot_counter, release
boots = boot_counter.BootCounter(release.Layout(sys.argv[1]))
write = boots._write
def slowly(known):
    print("read", flush=True)
    time.sleep(0.5)
    write(known)
boots._write = slowly
boots.note(sys.argv[2], "it fails")
"""


def test_two_processes_that_count_at_once_lose_nothing(device: Device) -> None:
    argv = [sys.executable, "-c", SLOW, device.layout.root, NEW]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)}) as other:
        assert other.stdout is not None and other.stdout.readline() == b"read\n"
        device.boots.note(OLD, "it fails, too")
    assert set(device.boots.failed()) == {OLD, NEW}


def test_who_never_ends_a_change_keeps_nobody_from_counting(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_counter, "TURN_S", 0.2)
    with boot_counter._turn(device.layout):
        device.boots.note(OLD, "it fails")
    shutil.rmtree(device.layout.run)
    device.boots.note(NEW, "it fails")
    assert set(device.boots.failed()) == {OLD, NEW}


def test_an_agent_that_hangs_is_started_again(device: Device) -> None:
    device.release(NEW)
    device.link(NEW, None)
    device.boot()
    device.wait(lambda: device.serving.serves(NEW), "it serves")
    agent = device.serving.state()["agent"]
    device.wait(lambda: "serves on" in device.log(), "it has begun its loop")
    time.sleep(1.5)
    os.kill(agent["pid"], signal.SIGSTOP)
    device.wait(lambda: device.serving.state().get("agent") not in (agent, None), "another agent")
    device.wait(lambda: device.serving.serves(NEW), "it serves again")
    assert "hangs" in device.log()


def test_a_full_disk_costs_the_counter_and_not_the_service(device: Device) -> None:
    device.release(NEW)
    device.link(NEW, None)
    Path(device.layout.root, "boots.json").mkdir()  # it can be neither read nor written
    device.boot()
    device.wait(lambda: device.serving.serves(NEW), "it serves")
    assert "cannot be counted" in device.log()
