"""init writes a commented configuration that runs as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import Edgewright

from edgewright.core import config
from edgewright.pipeline.init import init
from edgewright.pipeline.progress import Silent


def test_without_data_the_task_is_tensors_and_int8_is_not_asked_for(
    tiny_onnx: Path, edgewright: Edgewright, tmp_path: Path
) -> None:
    said = edgewright("init", tiny_onnx)
    assert said.code == 0, said.err
    parsed = config.read(tmp_path / "edgewright.yaml")
    assert parsed.task.kind == "tensors"
    assert parsed.model.source == "tiny.onnx"
    assert parsed.data.calibration is None and parsed.data.validation is None
    assert parsed.targets[0].precision is not None
    assert not {"int8", "mixed"} & set(parsed.targets[0].precision)


def test_the_comments_say_what_the_model_is(tiny_onnx: Path, edgewright: Edgewright, tmp_path: Path) -> None:
    said = edgewright("init", tiny_onnx, "-o", "-")
    assert said.code == 0, said.err
    assert "images float32 1×3×16×16" in said.out
    assert "logits float32 1×10" in said.out
    assert not (tmp_path / "edgewright.yaml").exists()


def test_every_line_commented_out_is_a_setting_that_is_accepted(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    text = init(str(tiny_onnx), tmp_path, Silent()).text
    settings = [line for line in text.splitlines() if line.lstrip().startswith("# ") and ": " in line]
    shown = [
        line
        for line in settings
        if line.split("#")[1].strip().split(":")[0]
        in ("max_drop", "latency_p95_ms", "throughput", "size_mb", "memory_mb", "source", "incidents")
    ]
    assert len(shown) >= 6
    for line in shown:
        uncommented = text.replace(line, line.replace("# ", "", 1))
        config.parse(yaml.safe_load(uncommented))


def test_data_is_written_relative_to_the_file(
    tiny_onnx: Path, pictures: Path, edgewright: Edgewright, tmp_path: Path
) -> None:
    said = edgewright("init", tiny_onnx, "--data", pictures, "-o", "sub/e.yaml", "--json")
    assert said.code == 0, said.err
    parsed = config.read(tmp_path / "sub" / "e.yaml")
    assert parsed.model.source == "../tiny.onnx"
    assert parsed.data.validation is not None and parsed.data.validation.path == "../pictures"
    assert said.json()["file"] == "sub/e.yaml"


def test_a_file_that_is_there_is_not_replaced_unasked(tiny_onnx: Path, edgewright: Edgewright, tmp_path: Path) -> None:
    (tmp_path / "edgewright.yaml").write_text("mine")
    said = edgewright("init", tiny_onnx)
    assert said.code == 2 and "--force" in said.err
    assert (tmp_path / "edgewright.yaml").read_text() == "mine"
    assert edgewright("init", tiny_onnx, "--force").code == 0
    assert config.read(tmp_path / "edgewright.yaml")


def test_a_file_that_runs_code_needs_to_be_trusted(edgewright: Edgewright, tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text("raise SystemExit('it ran')")
    said = edgewright("init", "network.py:make", "--json")
    assert said.code == 2, said.err
    assert "trust" in said.json()["error"]["remedy"]


def test_an_older_config_becomes_a_configuration(
    edgewright: Edgewright, tiny_onnx: Path, pictures: Path, tmp_path: Path
) -> None:
    old = {
        "model_name": "tiny", "workspace": ".", "batch_size": 1, "target_soc": "Ascend310B1", "enable_int8": True,
        "calib_data": "pictures", "edge_device_ip": "192.168.1.2", "edge_device_user": "HwHiAiUser",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(old))
    said = edgewright("init", "--from", "config.json")
    assert said.code == 0, said.err
    parsed = config.parse(yaml.safe_load((tmp_path / "edgewright.yaml").read_text()), members=False)
    assert parsed.targets[0].family == "cann"
    assert parsed.targets[0].device == "ssh://HwHiAiUser@192.168.1.2"
    assert parsed.data.calibration is not None and parsed.data.calibration.path == "pictures"


def test_a_detector_with_data_gets_detection(shared_dir: Path, edgewright: Edgewright, tmp_path: Path) -> None:
    said = edgewright(
        "init", shared_dir / "models/yolov5n-coco/yolov5n.pt", "--data", shared_dir / "data/coco128/images/val2017"
    )
    assert said.code == 0, said.err
    parsed = config.read(tmp_path / "edgewright.yaml")
    assert parsed.task.kind == "detection"
    assert parsed.targets[0].precision is None
