"""A service with a user of its own: it looks after itself, and cannot touch what root installed."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faulty
import numpy as np
import pytest
import tiny
from board import Board

import edgewright
from edgewright.device import durable, install, managers, plan
from edgewright.device.boot_counter import BootCounter, alone
from edgewright.device.release import Layout
from edgewright.device.serving import Serving
from edgewright.device.units import Host

OLD, NEW = "1-" + "a" * 12, "2-" + "b" * 12
SOURCE = Path(edgewright.__file__).parent.parent
PACKAGES = str(Path(np.__file__).parent.parent)
USER = "nobody"
OTHER: dict[str, Any] = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}

KILLED = """
import os, signal, sys
from edgewright.device.release import Layout
layout, left = Layout(sys.argv[1]), [{number}]
def meet(event, args):
    if event in ("os.symlink", "os.chown", "os.rename", "os.remove"):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(meet)
layout.point(layout.current, {name!r})
"""
POINT = "from edgewright.device.release import Layout; here = Layout(sys.argv[1]); here.point(here.current, {name!r})"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="elsewhere: giving files to another user needs root")


@pytest.fixture
def layout() -> Iterator[Layout]:
    """Under a folder that every user may enter, as /var/lib is."""
    folder = Path(tempfile.mkdtemp(prefix="edgewright-own-user-"))
    folder.chmod(0o755)
    found = Layout(str(folder / "device"))
    found.make()
    yield found
    Serving(found).stop()
    shutil.rmtree(folder)


def release(layout: Layout, name: str, **model: object) -> None:
    folder = tiny.service(Path(layout.folder(name)), **model)
    number, digest = name.split("-")
    own = {"number": int(number), "digest": digest, "serve": {"tries": 2, "environment": {"PYTHONPATH": PACKAGES}}}
    durable.write_json(str(folder / "release.json"), own)


def adopt(layout: Layout) -> None:
    """The acts of the plan that give files away, to a user that every machine has."""
    for act in plan.adoption(layout.root, Host("systemd", sys.executable), {}):
        if act.kind == "own":
            managers._do(act._replace(text=USER))


def as_user(code: str, root: str, python: str) -> str:
    """What Python code that is run as that user has to complain about."""
    argv = [python, "-c", "import os, sys; " + code, root]
    return subprocess.run(argv, **OTHER, env=environment(), cwd="/", capture_output=True, text=True).stderr


def environment() -> dict[str, str]:
    return {"PYTHONPATH": f"{SOURCE}:{PACKAGES}", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


def interpreter() -> str:
    """A Python of this version that another user can run; this one may lie in root's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        with contextlib.suppress(OSError):
            if not as_user("import numpy, edgewright.device.agent", "/", python):
                return python
    pytest.skip("elsewhere: no Python of this version here can be run by another user")


def test_a_service_with_its_own_user_goes_back_by_itself_and_cannot_change_what_is_served(
    layout: Layout,
) -> None:
    python = interpreter()
    gone = Path(layout.root).parent / "gone"
    release(layout, OLD)
    release(layout, NEW, crash_if=str(gone))
    Path(layout.root, "tools").mkdir()
    layout.point(layout.current, OLD)
    adopt(layout)
    layout.point(layout.previous, OLD)
    layout.point(layout.current, NEW)  # as an installer does, after the service was given what it writes
    gone.touch()
    supervisor = subprocess.Popen(
        [python, "-m", "edgewright.device.supervise", layout.root],
        **OTHER, umask=0o027, cwd="/", env=environment(), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 40
    while not Serving(layout).serves(OLD):
        assert supervisor.poll() is None and time.monotonic() < deadline, Path(layout.log).read_text()
        time.sleep(0.05)
    assert (layout.linked(layout.current), layout.linked(layout.previous)) == (OLD, NEW)
    assert BootCounter(layout).reverted() is not None
    for change in (
        "os.rename(sys.argv[1] + '/tools', sys.argv[1] + '/mine')",
        "os.rename(sys.argv[1] + '/releases', sys.argv[1] + '/mine')",
        f"open(sys.argv[1] + '/releases/{OLD}/app/task.py', 'a')",
        "open(sys.argv[1] + '/blobs/sha256/x', 'w')",
    ):
        assert "PermissionError" in as_user(change, layout.root, python)
    gone.unlink()
    layout.point(layout.current, NEW)
    assert Serving(layout).follow(60.0) == "" and Serving(layout).serves(NEW), "root's wishes are heard"


def test_wherever_root_is_killed_while_it_switches_a_link_the_service_can_switch_back(layout: Layout) -> None:
    python = interpreter()
    for name in (OLD, NEW):
        Path(layout.folder(name)).mkdir()
    layout.point(layout.current, OLD)
    adopt(layout)
    for number in itertools.count(1):
        argv = [sys.executable, "-c", KILLED.format(number=number, name=NEW), layout.root]
        killed = subprocess.run(argv, env=environment(), check=False).returncode
        assert as_user(POINT.format(name=OLD), layout.root, python) == ""
        assert layout.linked(layout.current) == OLD
        if killed == 0:
            break
        assert killed == -signal.SIGKILL
    assert number > 3, "there are changes to be killed at"
    assert not list(Path(layout.root).glob("*.next*")), "nothing is left behind"


def test_root_opens_what_it_gave_to_the_service(layout: Layout) -> None:
    """Where fs.protected_regular is 2, as Debian and Ubuntu have it: not with O_CREAT."""
    install.stop(layout, {})
    adopt(layout)
    install.stop(layout, {})
    with alone(layout) as free:
        assert free


SYSTEMD = f"""
from edgewright.device import managers
from edgewright.device.units import Host
managers.host, do = lambda *_: Host("systemd", sys.executable), managers._do
managers._do = lambda act: do(act._replace(text={USER!r})) if act.kind == "own" else ""
"""
"""As on a machine that systemd runs, as far as it gives files to the service's own user."""


def test_root_installs_and_goes_back_over_what_belongs_to_the_service(board: Board) -> None:
    """Where fs.protected_regular is 2, as Debian and Ubuntu have it, the journal is not to be opened with O_CREAT."""
    before, old = board.bundle(score=0.4), board.bundle()
    for bundle in (before, old):
        answer = faulty.install(board, bundle, SYSTEMD)
        assert answer.code == 0, answer
    assert Path(board.layout.journal).owner() == USER
    assert faulty.Installer(board, "rollback", {}, SYSTEMD).answer().code == 0
    faulty.assert_one_whole_release(board, before)
