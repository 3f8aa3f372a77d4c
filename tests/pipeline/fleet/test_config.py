"""A fleet's file: what it may hold, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgewright.core.errors import ConfigError, InputError
from edgewright.pipeline.fleet.config import is_fleet, serve_for
from edgewright.pipeline.fleet.fleet import open_fleet

WHOLE: dict[str, Any] = {
    "fleet": {"inventory": "inventory.yaml"},
    "release": {"cpu": {"bundle": "b"}, "atlas": {"project": "p.yaml", "target": "board"}},
    "rollout": {"waves": [{"name": "canary", "select": "group=canary", "success": {"percent": 90}, "bake_s": 5}]},
    "serve": {"source": "camera:{camera}", "port": "{port}"},
}
DEVICES = {
    "dev-1": {"address": "ssh://a", "target": "cpu", "groups": ["canary"], "vars": {"camera": 0, "port": 8081}},
    "dev-2": {"address": "ssh://b", "target": "atlas", "labels": {"site": "b"}, "vars": {"camera": 1, "port": 8082}},
}


def _write(folder: Path, whole: Any = WHOLE, devices: Any = DEVICES) -> str:
    (folder / "inventory.yaml").write_text(yaml.safe_dump({"devices": devices}))
    path = folder / "fleet.yaml"
    path.write_text(whole if isinstance(whole, str) else yaml.safe_dump(whole))
    return str(path)


def test_variables_of_a_device_fill_what_it_serves(tmp_path: Path) -> None:
    fleet = open_fleet(_write(tmp_path), home=tmp_path)
    serve = [serve_for(fleet.config, device, "") for device in fleet.devices]
    assert [(s.source, s.port) for s in serve] == [("camera:0", 8081), ("camera:1", 8082)]
    assert [device.name for device in open_fleet(str(fleet.path), selection="site=b").devices] == ["dev-2"]


def test_one_release_for_every_device_needs_no_target(tmp_path: Path) -> None:
    devices = {"dev-1": {"address": "local"}, "dev-2": {"address": "ssh://b", "target": "whatever"}}
    whole = {"fleet": {"inventory": "inventory.yaml"}, "release": {"bundle": "b"}}
    fleet = open_fleet(_write(tmp_path, whole, devices), home=tmp_path)
    assert [device.target for device in fleet.devices] == ["all", "all"]
    assert fleet.target(fleet.devices[0], "openvino").root == str(tmp_path / "devices" / "dev-1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fleat": {}}, "Did you mean 'fleet'"),
        ({"release": {}}, "release"),
        ({"release": {"cpu": {"bundle": "b", "project": "p"}, "atlas": {"bundle": "b"}}}, "either project or bundle"),
        ({"release": {"cpu": {"bundle": "b"}, "x": {"bundle": "b"}}}, "names the target 'atlas'"),
        ({"rollout": {"waves": [{"name": "a"}, {"name": "a"}]}}, "two waves have the same name"),
        ({"rollout": {"waves": [{"name": "a", "size": 1, "percent": 5}]}}, "size or percent"),
        ({"rollout": {"waves": [{"name": "a", "selekt": "x=y"}]}}, "Did you mean 'select'"),
        ({"rollout": {"concurrency": 0}}, "greater than or equal to 1"),
        ({"serve": {"source": "camera:{kamera}"}}, "no variable 'kamera'"),
        ({"serve": {"port": 70000}}, "serve, for dev-1: port"),
        ({"fleet": {"inventory": "none.yaml"}}, "There is no file"),
    ],
)
def test_a_wrong_file_is_told_before_a_device_is_asked(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_fleet(_write(tmp_path, {**WHOLE, **change}), home=tmp_path)
    assert said in str(caught.value)


def test_a_selection_that_selects_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No device of 2"):
        open_fleet(_write(tmp_path), selection="site=nowhere")


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("fleet.yaml", "# x\nfleet: {inventory: i}\n", True),
        ("edgewright.yaml", "model: x\n# fleet: no\ntargets: [{name: fleet}]\n", False),
        ("model.onnx", "fleet: x\n", False),
        ("bad.yaml", "\x00\xff", False),
    ],
)
def test_a_fleet_s_file_is_known_by_its_key(tmp_path: Path, name: str, text: str, answer: bool) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    assert is_fleet(tmp_path / name) is answer
    assert not is_fleet(tmp_path / "absent.yaml")


def test_a_link_to_a_fleet_s_file_is_no_other_fleet(tmp_path: Path) -> None:
    path, link = _write(tmp_path), tmp_path / "link.yaml"
    link.symlink_to(path)
    assert open_fleet(str(link), home=tmp_path).ledger == open_fleet(path, home=tmp_path).ledger


def test_a_device_behind_another_gate_is_another_one(tmp_path: Path) -> None:
    def place(address: str) -> str:
        path = _write(tmp_path, {**WHOLE, "serve": {}}, {"d": {"address": address, "target": "cpu"}})
        fleet = open_fleet(path, home=tmp_path)
        return fleet.place(fleet.devices[0])

    assert place("ssh://10.0.0.12?jump=gate-a") != place("ssh://10.0.0.12?jump=gate-b")
    assert place("ssh://10.0.0.12?identity=/a") == place("ssh://10.0.0.12:22?identity=/b")
