"""New device programs take the place of the old ones while the service answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

import edgewright
from edgewright.device import durable, processes
from edgewright.device.release import Layout
from edgewright.device.serving import Serving, ask_health

NAME = "1-" + "a" * 12
PACKAGE = Path(edgewright.__file__).parent
FOLLOW = """
import sys
from edgewright.device.release import Layout
from edgewright.device.serving import Serving
print(Serving(Layout(sys.argv[1])).follow(60.0))
"""


class Device:
    def __init__(self, root: Path) -> None:
        self.layout, self.root = Layout(str(root)), root
        self.layout.make()
        self.serving = Serving(self.layout)
        folder = tiny.service(Path(self.layout.folder(NAME)))
        durable.write_json(str(folder / "release.json"), {"number": 1, "digest": "a" * 12, "serve": {}})
        self.layout.point(self.layout.current, NAME)

    def programs(self, digest: str) -> Path:
        folder = self.root / "tools" / digest
        shutil.copytree(PACKAGE / "device", folder / "edgewright" / "device", ignore=shutil.ignore_patterns("__py*"))
        (folder / "edgewright" / "__init__.py").write_text("")
        return folder

    def follow(self, programs: Path) -> str:
        argv = [sys.executable, "-c", FOLLOW, str(self.root)]
        environment = {**os.environ, "PYTHONPATH": str(programs)}
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path / "device")
    yield found
    found.serving.stop()


def test_a_newer_supervisor_takes_over_socket_and_agent_without_losing_a_request(device: Device) -> None:
    assert device.follow(device.programs("0" * 12)) == ""
    before = device.serving.state()
    lost, asked, stopped = [], [0], threading.Event()

    def ask() -> None:
        while not stopped.is_set():
            asked[0] += 1
            if ask_health(before["host"], before["port"], 10.0) is None:
                lost.append(asked[0])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert device.follow(device.programs("1" * 12)) == ""
        after = device.serving.state()
        time.sleep(0.5)
    finally:
        stopped.set()
        asking.join()
    assert lost == [] and asked[0] > 20
    assert "/tools/" + "1" * 12 in after["code"]
    same = ("supervisor", "agent", "port", "phase")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}, "the same two processes"


def test_what_was_taken_over_is_looked_after_as_before(device: Device) -> None:
    device.follow(device.programs("0" * 12))
    device.follow(device.programs("1" * 12))
    agent = device.serving.state()["agent"]
    os.kill(agent["pid"], 9)
    deadline = time.monotonic() + 60
    while not device.serving.serves(NAME) or device.serving.state()["agent"] == agent:
        assert time.monotonic() < deadline, device.serving.state()
        time.sleep(0.05)
    assert "signal 9" in Path(device.layout.log).read_text()
    supervisor = device.serving.state()["supervisor"]
    assert device.serving.stop() and not processes.alive(supervisor)


def test_programs_that_cannot_be_run_do_not_take_over(device: Device) -> None:
    device.follow(device.programs("0" * 12))
    agent = device.serving.state()["agent"]
    broken = device.programs("2" * 12)
    (broken / "edgewright" / "device" / "supervise.py").write_text("import nothing_of_this_name\n")
    assert device.follow(broken) == "", "the wish is granted by the old one"
    state = device.serving.state()
    assert "/tools/" + "0" * 12 in state["code"] and state["agent"] == agent


def test_a_stop_that_is_asked_for_during_a_handing_over_is_kept(device: Device) -> None:
    device.follow(device.programs("0" * 12))
    slow, sign = device.programs("4" * 12), device.root / "importing"
    source, first = slow / "edgewright" / "device" / "supervise.py", "from __future__ import annotations\n"
    waits = f"import time\nopen({str(sign)!r}, 'w').close()\ntime.sleep(2)\n"
    source.write_text(source.read_text().replace(first, first + waits, 1))
    environment = {**os.environ, "PYTHONPATH": str(slow)}
    with subprocess.Popen([sys.executable, "-c", FOLLOW, str(device.root)], env=environment) as asking:
        deadline = time.monotonic() + 30
        while not sign.exists():
            assert asking.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        state = device.serving.state()
        os.kill(state["supervisor"]["pid"], signal.SIGTERM)
        assert processes.wait_gone(state["supervisor"], 10.0), "the other one goes on, and knows nothing of it"
        assert processes.wait_gone(state["agent"], 5.0)


def test_a_wish_for_programs_from_elsewhere_is_not_granted(device: Device, tmp_path: Path) -> None:
    device.follow(device.programs("0" * 12))
    strange = tmp_path / "tools" / ("3" * 12)
    shutil.copytree(device.root / "tools" / ("0" * 12), strange)
    control = json.loads(Path(device.layout.control).read_text())
    wish = {
        **control,
        "token": "t",
        "by": processes.identity(os.getpid()),
        "code": str(strange / "edgewright" / "device"),
    }
    durable.write_json(device.layout.control, wish)
    os.kill(device.serving.state()["supervisor"]["pid"], 1)
    deadline = time.monotonic() + 30
    while device.serving.state().get("token") != "t":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "/tools/" + "0" * 12 in device.serving.state()["code"]
