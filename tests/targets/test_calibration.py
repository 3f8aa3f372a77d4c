"""Calibration feeds are the device's own pre-processing; what cannot be read is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Step
from edgewright.core.recipe import Port
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.device.steps import Preprocess
from edgewright.targets.calibration import Calibration

TASK = TaskSpec(
    "detection",
    preprocess=(Step("letterbox", {"size": [64, 64]}), Step("layout", {"to": "NHWC"})),
    postprocess=(Step("yolov5_flat", {"role": "output0"}),),
    serve={"confidence": 0.3, "iou": 0.5, "max_detections": 10},
)
INPUTS = (Port("image", "images", "uint8", (1, 64, 64, 3)),)


def test_feeds_are_what_the_device_would_feed(pictures: Dataset) -> None:
    from edgewright.device import image

    data = Calibration(pictures, TASK, INPUTS, (), 5)
    feeds = list(data)
    assert len(data) == len(feeds) == 5
    expected, _ = Preprocess([s.to_json() for s in TASK.preprocess])(image.decode_file(str(pictures.samples[2].path)))
    np.testing.assert_array_equal(feeds[2]["images"], expected)
    assert feeds[0]["images"] is not feeds[1]["images"] and not np.array_equal(feeds[0]["images"], feeds[1]["images"])


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"not a picture")
    data = Calibration(Dataset("d", (Sample("0", path),), False, "0"), TASK, INPUTS, (), 5)
    with pytest.raises(InputError, match=r"broken\.png"):
        list(data)


def test_tensors_come_from_npz_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", ids=np.arange(4)[None], mask=np.ones((1, 4), np.int64))
    ports = (Port("ids", "ids", "int64", (1, None)), Port("mask", "mask", "int64", (1, None)))
    dataset = Dataset("d", (Sample("0", tmp_path / "a.npz"),), False, "0")
    (feeds,) = list(Calibration(dataset, TaskSpec("tensors"), ports, (), 5))
    assert feeds["ids"].tolist() == [[0, 1, 2, 3]] and feeds["mask"].dtype == np.int64
    with pytest.raises(InputError, match="types"):
        list(Calibration(dataset, TaskSpec("tensors"), (*ports, Port("types", "types", "int64", (1, None))), (), 5))


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="no calibration"):
        Calibration(Dataset("d", (), False, "0"), TASK, INPUTS, (), 5)


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
def test_int8_without_data_is_a_configuration_error(family: str, detector: Model, tmp_path: Path) -> None:
    from edgewright import targets

    member = targets.get(family)
    recipe = next(iter(member.offers(detector, TASK, Facts("d", family), {}, True)))
    with pytest.raises(ConfigError, match="calibration"):
        member.build({"main": detector}, TASK, replace(recipe, graph=()), None, tmp_path)
