"""`make fleet-up` and `make fleet-down`: ten real SSH servers, twice, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sshd
import yaml
from stand_in import Toolkit

from edgewright.core import classic
from edgewright.pipeline.fleet.fleet import open_fleet
from edgewright.pipeline.fleet.inventory import Device, read_inventory

pytestmark = pytest.mark.slow  # without EDGEWRIGHT_CANN the stand-in is built first


@pytest.fixture
def folder(
    root: Path, toolkit: Toolkit, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    sshd.need_sshd()
    monkeypatch.setenv("EDGEWRIGHT_CANN", str(toolkit.prefix))
    found = tmp_path_factory.mktemp("ten") / "fleet"
    yield found
    _tool(root, "down", found)


def _tool(root: Path, verb: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(root / "tools/fleet.py"), verb, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ports(folder: Path) -> dict[str, int]:
    return {path.parent.name: int(path.read_text()) for path in sorted(folder.glob("*/port"))}


def test_ten_devices_come_up_twice_and_go_down(root: Path, folder: Path) -> None:
    said = _tool(root, "up", folder)
    assert said.count(": started on 127.0.0.1:") == 10 and said.count("with the Ascend stand-in") == 3
    devices = {device.name: device for device in read_inventory(folder / "inventory.yaml")}
    assert len(devices) == 10 and {device.target for device in devices.values()} == {"cpu", "atlas"}
    assert _home(devices["dev-08"]) == [str(folder / "dev-08" / "home"), "Ascend"]
    assert _home(devices["dev-02"]) == [str(folder / "dev-02" / "home")]
    ports = _ports(folder)

    os.kill(int((folder / "dev-03" / "pid").read_text()), signal.SIGKILL)
    again = _tool(root, "up", folder)
    assert again.count("runs already") == 9 and again.count("dev-03: started") == 1
    assert _ports(folder) == ports and _home(devices["dev-03"])[0] == str(folder / "dev-03" / "home")

    _tool(root, "down", folder)
    assert not folder.exists()
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "No fleet is up" in _tool(root, "down", folder)


def _home(device: Device) -> list[str]:
    """The device's HOME and what lies in it, asked with the system's own client by what the inventory says."""
    place, _, options = device.address.partition("?")
    given = dict(option.split("=") for option in options.split("&"))
    user, port = place.removeprefix("ssh://").split("@")[0], place.rpartition(":")[2]
    argv = [
        "ssh",
        "-F",
        "none",
        "-p",
        port,
        "-i",
        given["identity"],
        "-o",
        f"UserKnownHostsFile={given['known_hosts']}",
    ]
    argv += ["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", f"{user}@127.0.0.1", "echo $HOME; ls $HOME"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_example_names_what_the_ten_are(root: Path, tmp_path: Path) -> None:
    text = (root / "examples" / "fleet.yaml").read_text()
    (tmp_path / "fleet.yaml").write_text(text.replace("../.edgewright/fleet/inventory.yaml", "inventory.yaml"))
    ten = {f"d{n}": {"address": f"ssh://h{n}", "target": target} for n, target in enumerate(["cpu", "atlas"])}
    (tmp_path / "inventory.yaml").write_text(yaml.safe_dump({"devices": ten}))
    fleet = open_fleet(str(tmp_path / "fleet.yaml"), home=tmp_path)
    for source in fleet.config.release.values():
        project = yaml.safe_load((root / "examples" / str(source.project)).read_text())
        assert source.target in {target["name"] for target in project["targets"]}


def test_the_eight_key_file_names_a_device_of_the_ten(root: Path) -> None:
    old = classic.load(root / "examples" / "classic" / "config-ssh.json")
    name, _, option = old["edge_device_ip"].partition("?config=")
    assert name == "dev-08" and set(old) == set(classic.KEYS)
    place = (root / "examples" / "classic" / option).resolve()
    assert place == (root / ".edgewright" / "fleet" / "ssh_config").resolve()
