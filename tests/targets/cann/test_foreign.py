"""TensorFlow, Caffe and MindSpore files go straight to atc, as files and commands; nobody here can run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.facts import Facts
from edgewright.core.model import ModelSpec
from edgewright.targets.cann import atc_command, foreign

FACTS = Facts("here", "cann", accelerator={"soc_version": "Ascend310B4", "cann": "8.1.RC1"})


def spec(folder: Path, name: str, **more) -> ModelSpec:
    (folder / name).write_bytes(b"whatever the framework wrote")
    return ModelSpec(str(folder / name), **more)


def test_a_frozen_graph_is_framework_3_in_nhwc(tmp_path):
    one = spec(tmp_path, "net.pb", inputs={"image": (1, 224, 224, 3)})
    lines = foreign.write(one, FACTS, {}, tmp_path / "out")
    (line,) = lines["fp16"]
    assert line.startswith("main atc --model=net.pb --framework=3")
    assert "--input_shape=image:1,224,224,3 --input_format=NHWC" in line
    assert (tmp_path / "out" / "fp16" / "main" / "net.pb").is_file()
    assert not atc_command.review(line.removeprefix("main "), cann="8.1.RC1").errors


def test_caffe_brings_its_weights(tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(b"weights")
    lines = foreign.write(spec(tmp_path, "net.prototxt", inputs={"data": (1, 3, 8, 8)}), FACTS, {}, tmp_path / "out")
    assert "--framework=0" in lines["fp16"][0] and "--weight=net.caffemodel" in lines["fp16"][0]
    with pytest.raises(InputError, match=r"other\.caffemodel"):
        foreign.write(spec(tmp_path, "other.prototxt", inputs={"data": (1, 3, 8, 8)}), FACTS, {}, tmp_path / "out")


def test_an_air_file_holds_its_own_shapes(tmp_path):
    lines = foreign.write(spec(tmp_path, "net.air"), FACTS, {}, tmp_path / "out")
    assert "--framework=1" in lines["origin"][0] and "input_shape" not in lines["origin"][0]


def test_shapes_that_nobody_told_are_asked_for(tmp_path):
    with pytest.raises(ConfigError, match="inputs"):
        foreign.write(spec(tmp_path, "net.pb"), FACTS, {}, tmp_path / "out")


def test_other_files_are_not_foreign(tmp_path):
    assert not foreign.is_foreign(spec(tmp_path, "net.onnx"))
