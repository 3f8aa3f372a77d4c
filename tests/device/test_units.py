"""Units as systemd's own tools judge them, and what the service tells systemd.

PID 1 is not systemd where these tests run, so no unit is started by systemd itself: its analyser reads them, and a
stand-in of ours starts what they say.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgewright
from edgewright.device import durable, managers, plan, units
from edgewright.device.release import Layout, ReleaseError
from edgewright.device.serving import Serving
from edgewright.device.units import Host

SOURCE = Path(edgewright.__file__).parent.parent
SUPPORT = Path(tiny.__file__).parent
ASCEND = ("/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
A_310B = ["davinci_manager", "svm0", "ts_aisle", "upgrade", "sys", "vdec", "vpc", "pngd", "venc", "dvpp_cmdlist"]
A_310B += ["log_drv", "acodec", "ai", "ao", "vo", "hdmi"]
SYSTEM = Host("systemd", sys.executable, (*ASCEND, "/dev/dri/renderD128", "/dev/video0"), units.GROUPS, (), "/root")
USERS = Host("systemd-user", sys.executable, (), (), (), "/home/anna")
LIMIT = 40  # tenths: an exposure of 4

analyser = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: sh tools/system-packages.sh"
)


def analysed(folder: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = folder / "edgewright-test.service"
    path.write_text(text)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}  # a user's units are not looked at without one
    return subprocess.run(["systemd-analyze", *words, str(path)], capture_output=True, text=True, env=environment)


BOARD = SYSTEM._replace(
    nodes=("/dev/davinci0", *(f"/dev/{name}" for name in A_310B)),
    homes=("/home/ann/Ascend/a b",),
    sockets=units.SOCKETS,
)


@analyser
@pytest.mark.parametrize(
    "host", [SYSTEM, SYSTEM._replace(nodes=(), groups=()), USERS, BOARD], ids=["ascend", "plain", "user", "310B"]
)
def test_systemd_finds_nothing_to_say_about_a_unit(tmp_path: Path, host: Host) -> None:
    text = units.unit("/var/lib/edgewright", host, {"environment": {"LD_LIBRARY_PATH": "/usr/lib64:/opt/x"}})
    done = analysed(tmp_path, text, "verify", *([] if host.manager == "systemd" else ["--user"]))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@analyser
@pytest.mark.parametrize(
    "serve", [{}, {"host": "0.0.0.0"}, {"source": "rtsp://camera/1"}], ids=["loopback", "every address", "a camera"]
)
def test_a_system_unit_is_hardened_and_still_reaches_its_devices(tmp_path: Path, serve: dict[str, Any]) -> None:
    text = units.unit("/var/lib/edgewright", SYSTEM, serve)
    done = analysed(tmp_path, text, "security", "--offline=true", f"--threshold={LIMIT}", "--no-pager")
    assert done.returncode == 0, done.stdout
    lines = text.splitlines()
    for node in SYSTEM.nodes:
        assert f"DeviceAllow={node} rw" in lines
    assert "SupplementaryGroups=HwHiAiUser video render" in lines and "PrivateDevices=yes" not in lines
    assert ("IPAddressDeny=any" in lines) is (serve == {}), "only the loopback alone is shut off from the rest"


@analyser
def test_the_unit_of_a_310b_board_gives_it_its_own_nodes_and_the_drivers_sockets(tmp_path: Path) -> None:
    patterns = [pattern for pattern in units.NODES if "[" not in pattern]
    assert {f"/dev/{name}" for name in A_310B} <= set(patterns), "ascend-docker-runtime, addAscend310BManagerDevice"
    others = {"event_sched", "hi_dvpp", "memory_bandwidth", "xsmem_dev", "user_config"}
    assert {f"/dev/{name}" for name in others} <= set(patterns), "ascend-device-plugin, HiAi200RC* and Atlas200ISoc*"
    text = units.unit("/var/lib/edgewright", BOARD, {})
    lines = text.splitlines()
    assert all(f"DeviceAllow=/dev/{name} rw" in lines for name in A_310B)
    for name in ("BindPaths", "ReadWritePaths"):
        assert f"{name}=-/home/HwHiAiUser/hdc_ppc" in lines
    assert 'BindReadOnlyPaths="-/home/ann/Ascend/a b"' in lines
    done = analysed(tmp_path, text, "security", "--offline=true", f"--threshold={LIMIT}", "--no-pager")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("serve", "starts"), [({}, 5), ({"tries": 3}, 5), ({"tries": 10}, 12)])
def test_systemd_gives_up_after_the_boot_counter_alone(serve: dict[str, Any], starts: int) -> None:
    assert f"StartLimitBurst={starts}" in units.unit("/var/lib/edgewright", SYSTEM, serve).splitlines()


@analyser
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40))
def test_any_value_of_a_variable_can_be_said(tmp_path: Path, value: str) -> None:
    done = analysed(tmp_path, units.unit("/srv/50% of $it", USERS, {"environment": {"A": value}}), "verify", "--user")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("environment", [{"A B": "c"}, {"A\nUser": "root"}, {"A": "b\nUser=root"}, {"": "x"}])
def test_nothing_can_be_smuggled_into_a_unit(environment: dict[str, str]) -> None:
    with pytest.raises(ReleaseError):
        units.unit("/srv/edgewright", SYSTEM, {"environment": environment})
    with pytest.raises(ReleaseError):
        units.unit("/srv/a\nUser=root", SYSTEM, {})


def test_a_plan_is_data_and_names_every_file_and_command() -> None:
    acts = plan.installation("/srv/e", SYSTEM, {"bake_s": 5}, "2-" + "b" * 12, "1-" + "a" * 12, True)
    name = units.name_of("/srv/e")
    written = {act.path: act.text for act in acts if act.kind == "file"}
    assert set(written) == {plan.SYSUSERS, f"/etc/systemd/system/{name}"}
    assert written[f"/etc/systemd/system/{name}"] == units.unit("/srv/e", SYSTEM, {"bake_s": 5})
    commands = [act.argv for act in acts if act.kind == "run"]
    assert commands == [
        ("systemd-sysusers", plan.SYSUSERS), ("systemctl", "daemon-reload"), ("systemctl", "enable", name),
    ]  # fmt: skip
    steps = list(dict.fromkeys(act.step for act in acts))
    expected = ["received", "assembled", "replayed", "managed", "switched", "started", "healthy", "baked", "committed"]
    assert steps == expected
    json.dumps([act.described() for act in acts])
    plain = plan.installation("/srv/e", Host("supervisor", ""), {}, "1-" + "a" * 12, None, False)
    assert not [act for act in plain if act.kind in ("file", "run", "own")]


class Listener:
    """The socket that systemd would listen on."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.05)
        self.heard: list[str] = []

    def wait(self, condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not in time: {what}; heard {self.heard}"
            with contextlib.suppress(TimeoutError):
                self.heard.append(self._socket.recv(4096).decode())

    def count(self, word: str) -> int:
        return sum(word in text for text in self.heard)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    found = Listener(tmp_path / "notify")
    yield found
    found.close()


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    found = Layout(str(tmp_path / "device"))
    found.make()
    folder = tiny.service(Path(found.folder("1-" + "a" * 12)))
    own = {"number": 1, "digest": "a" * 12, "serve": {"watchdog_s": 3600}}
    durable.write_json(str(folder / "release.json"), own)
    found.point(found.current, "1-" + "a" * 12)
    yield found
    Serving(found).stop()


def test_systemd_hears_ready_when_it_serves_and_no_watchdog_while_inference_is_stuck(
    layout: Layout, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "NOTIFY_SOCKET": str(tmp_path / "notify")}
    code = "from edgewright.device import supervise; supervise.SILENT_S = 2.5; import sys; supervise.main(sys.argv[1:])"
    supervisor = subprocess.Popen([sys.executable, "-c", code, layout.root], env=environment)
    listener.wait(lambda: listener.count("READY=1"), "ready")
    assert Serving(layout).serves("1-" + "a" * 12), "ready is said when it answers, not before"
    assert not any("READY=1" in text for text in listener.heard[:-1])
    listener.wait(lambda: listener.count("WATCHDOG=1") >= 3, "the watchdog is fed")
    agent = Serving(layout).state()["agent"]
    os.kill(agent["pid"], signal.SIGSTOP)
    quiet_until = time.monotonic() + 4.0
    listener.wait(lambda: time.monotonic() > quiet_until, "the last beats run out")
    before = listener.count("WATCHDOG=1")
    quiet_until = time.monotonic() + 3.0
    listener.wait(lambda: time.monotonic() > quiet_until, "nothing comes")
    assert listener.count("WATCHDOG=1") == before, "a stuck agent does not feed the watchdog"
    os.kill(agent["pid"], signal.SIGCONT)
    listener.wait(lambda: listener.count("WATCHDOG=1") > before, "it is fed again")
    supervisor.terminate()
    listener.wait(lambda: listener.count("STOPPING=1"), "stopping")
    assert supervisor.wait(20) == 0


ADOPT = """
import json, sys
from edgewright.device import managers, units
from edgewright.device.release import Layout
from edgewright.device.serving import Serving
root, home, op = sys.argv[1:]
managers.host = lambda root, serve: units.Host("systemd-user", sys.executable, home=home)
managers.booted = lambda: True
layout = Layout(root)
if op == "start":
    print(managers.adopt(layout, {"environment": {"ASCEND_SLOG": "a b%c"}}), Serving(layout).follow(60.0))
else:
    print(Serving(layout).stop())
"""


def test_a_unit_is_written_started_and_ended_through_systemctl(
    layout: Layout, listener: Listener, tmp_path: Path
) -> None:
    programs, commands = tmp_path / "device" / "tools" / "0123456789ab", tmp_path / "bin"
    shutil.copytree(SOURCE / "edgewright" / "device", programs / "edgewright" / "device")
    (programs / "edgewright" / "__init__.py").write_text("")
    commands.mkdir()
    shim = commands / "systemctl"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {SUPPORT / "little_systemctl.py"} "$@"\n')
    shim.chmod(0o755)
    (commands / "loginctl").symlink_to("/bin/false")
    home = tmp_path
    folder = home / ".config" / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "notify").symlink_to(tmp_path / "notify")
    environment = {
        **os.environ,
        "PYTHONPATH": str(programs),
        "PATH": f"{commands}:{os.environ['PATH']}",
        "LITTLE_UNITS": str(folder),
    }

    def do(op: str) -> str:
        argv = [sys.executable, "-c", ADOPT, layout.root, str(home), op]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert do("start") == "systemd-user"
    assert ["loginctl enable-linger" in note for note in managers.notes(layout)] == [True], "a policy may forbid it"
    assert Serving(layout).serves("1-" + "a" * 12)
    name = units.name_of(layout.root)
    assert 'Environment="ASCEND_SLOG=a b%%c"' in (folder / name).read_text()
    listener.wait(lambda: listener.count("READY=1"), "the unit's process tells that it is ready")
    state = Serving(layout).state()
    assert "/tools/0123456789ab/" in state["code"], "the unit names a link, so that new programs need no new unit"
    assert b"ASCEND_SLOG=a b%c" in Path(f"/proc/{state['supervisor']['pid']}/environ").read_bytes().split(b"\0")
    assert do("stop") == "True" and not Serving(layout).running()
    asked = (folder / "asked").read_text().splitlines()
    assert asked[:3] == ["--user daemon-reload", f"--user enable {name}", f"--user start --no-block {name}"]
    assert asked[-1] == f"--user disable --now {name}"
