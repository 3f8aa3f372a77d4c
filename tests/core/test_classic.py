"""The eight-key config.json of older pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.core import classic, config
from edgewright.core.errors import ConfigError

HERE: dict[str, Any] = {
    "model_name": "yolov5s",
    "workspace": "work",
    "batch_size": 1,
    "target_soc": "",
    "enable_int8": True,
    "calib_data": "calib",
    "edge_device_ip": "",
    "edge_device_user": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work" / "calib").mkdir(parents=True)
    (tmp_path / "work" / "yolov5s.pt").write_bytes(b"model")
    return tmp_path


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**HERE, **changes}))
    return path


def test_the_eight_keys_become_a_configuration(folder: Path) -> None:
    data, notes = classic.read(_write(folder))
    parsed = config.parse(data)
    assert parsed.model.source == "work/yolov5s.pt"
    assert parsed.data.calibration is not None and parsed.data.calibration.path == "work/calib"
    assert parsed.targets[0].family == "openvino" and parsed.targets[0].device == "local"
    assert parsed.targets[0].precision is None
    assert any("agreement" in note for note in notes)


def test_without_int8_the_ladder_begins_at_half(folder: Path) -> None:
    data, _ = classic.read(_write(folder, enable_int8=False))
    assert set(config.parse(data).targets[0].precision or ()) == {"fp16", "bf16", "fp32"}


def test_a_device_becomes_an_address(folder: Path) -> None:
    data, _ = classic.read(_write(folder, edge_device_ip="192.168.1.2", edge_device_user="HwHiAiUser"))
    assert config.parse(data).targets[0].device == "ssh://HwHiAiUser@192.168.1.2"


@pytest.mark.parametrize(
    ("ip", "user", "address"),
    [
        ("127.0.0.1", "pi", "local"),
        ("127.0.0.1:2201", "pi", "ssh://pi@127.0.0.1:2201"),
        ("board-7:22", "", "ssh://board-7:22"),
        ("fe80::1", "", "ssh://[fe80::1]"),
        ("[::1]:2201", "pi", "ssh://pi@[::1]:2201"),
        ("board-7?config=ssh_config&python=/usr/bin/python3", "", "ssh://board-7?config=HERE/ssh_config&python=/usr/bin/python3"),
    ],
)  # fmt: skip
def test_a_device_behind_a_port_is_reached_over_ssh(folder: Path, ip: str, user: str, address: str) -> None:
    data, _ = classic.read(_write(folder, edge_device_ip=ip, edge_device_user=user))
    assert data["targets"][0]["device"] == address.replace("HERE", str(folder))


def test_an_ascend_chip_names_the_family_that_is_missing_here(folder: Path) -> None:
    path = _write(folder, target_soc="Ascend310B1")
    data, notes = classic.translate(path)
    assert data["targets"][0]["family"] == "cann"
    assert any("cann" in note for note in notes)
    try:
        classic.read(path)
    except ConfigError as error:
        assert "cann" in error.message and "init --from" in error.remedy


def test_a_batch_that_is_not_carried_over_is_said(folder: Path) -> None:
    _, notes = classic.read(_write(folder, batch_size=4))
    assert any("batch_size 4" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modelname": "x"}, "unknown key 'modelname'"),
        ({"model_name": ""}, "'model_name' is missing"),
        ({"model_name": "yolov9"}, "no model 'yolov9'"),
        ({"enable_int8": "yes"}, "enable_int8 is 'yes'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"calib_data": "nowhere"}, "calib_data 'nowhere' is not there"),
        ({"edge_device_ip": "a b; rm -rf /"}, "is not one"),
        ({"edge_device_ip": "127.0.0.1:99999"}, "is not one"),
        ({"edge_device_ip": "board?config=a b"}, "is not one"),
        ({"target_soc": "tensorrt"}, "'tensorrt'"),
    ],
)
def test_a_wrong_key_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        classic.read(_write(folder, **changes))
    assert message in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_name": ', "null", "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        classic.read(path)
