"""`make fleet-up` and `make fleet-down`: ten real SSH servers, twice, and nothing left behind; and the commands of
examples/fleet.yaml on them, as a user gives them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sshd
import yaml
from board import Bakery, ask
from boards import bakery  # noqa: F401
from stand_in import Toolkit

from edgewright.core import classic
from edgewright.pipeline.bundle import Bundle
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


CANARIES = {"dev-01", "dev-08"}


class Hub:
    """The command line over a file that is examples/fleet.yaml but for what is released: the example's network takes
    minutes to choose, and how it gets to ten devices is the same."""

    def __init__(self, root: Path, folder: Path, work: Path) -> None:
        self.home, self.what = work / "home", work / "fleet.yaml"
        self.whole = yaml.safe_load((root / "examples" / "fleet.yaml").read_text())
        self.whole["fleet"]["inventory"] = str(folder / "inventory.yaml")
        self.whole["rollout"]["waves"][0]["bake_s"] = 1
        self.whole["serve"] |= {"bake_s": 0}

    def release(self, bundle: Bundle) -> None:
        self.whole["release"] = {target: {"bundle": str(bundle.path)} for target in ("cpu", "atlas")}
        self.what.write_text(yaml.safe_dump(self.whole))

    def says(self, verb: str, *words: str) -> Any:
        """The JSON object of a verb that ended well."""
        argv = [sys.executable, "-c", "from edgewright.cli import main; main()", verb, str(self.what), *words, "--json"]
        environment = {**os.environ, "EDGEWRIGHT_HOME": str(self.home)}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def serving(self) -> dict[str, tuple[str, str]]:
        """Of each device what it serves and where, by its own word."""
        return {row["device"]: (row["digest"], row["url"]) for row in self.says("status")["devices"]}


def test_the_commands_of_the_example_on_the_ten(root: Path, folder: Path, tmp_path: Path, bakery: Bakery) -> None:  # noqa: F811
    _tool(root, "up", folder)
    hub, first, second = Hub(root, folder, tmp_path), bakery.bundle(), bakery.bundle(score=0.4)
    hub.release(first)
    planned = hub.says("deploy", "--dry-run")
    assert [row["wave"] for row in planned["devices"]].count("canary") == 2 and len(planned["devices"]) == 10
    assert not list(folder.glob("*/home/.edgewright/releases/*")), "nothing is installed"
    assert not list(folder.glob("*/home/.edgewright/incoming/*")), "nothing of the release was sent"

    done = hub.says("deploy", "--yes")
    assert (done["rollout"]["state"], done["counts"]) == ("complete", {"live": 10})
    hub.release(second)
    done = hub.says("deploy", "--yes", "--select", "group=canary")
    assert (done["rollout"]["state"], done["counts"]) == ("complete", {"live": 2})
    now = hub.serving()
    assert len(now) == 10 and {name for name, (digest, _) in now.items() if digest == second.digest} == CANARIES
    assert _score(now["dev-01"][1], bakery) == pytest.approx(_score(now["dev-02"][1], bakery) - 0.1, abs=1e-3)

    back = hub.says("rollback", "--select", "group=canary")
    assert {row["device"]: row["digest"] for row in back["devices"]} == dict.fromkeys(CANARIES, first.digest)
    now = hub.serving()
    assert len(now) == 10 and {digest for digest, _ in now.values()} == {first.digest}
    assert _score(now["dev-08"][1], bakery) == pytest.approx(_score(now["dev-10"][1], bakery), abs=1e-3)
    golden = hub.says("exec-golden")
    assert [row["mismatches"] for row in golden["devices"]] == [[]] * 10 and golden["failed"] == {}
    assert len(hub.says("logs", "-n", "2")["logs"]) == 10


def _score(url: str, bakery: Bakery) -> float:  # noqa: F811
    """What /infer of a device says of a picture."""
    status, body = ask(url + "/infer", bakery.dataset.samples[0].path.read_bytes(), "image/png")
    assert status == 200, body
    return float(json.loads(body)["predictions"][0]["score"])


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
