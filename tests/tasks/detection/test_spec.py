"""The steps of a detector from what its source knows and the user sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgewright import tasks
from edgewright.core.errors import ConfigError, InputError
from edgewright.core.model import Model, Step, TaskHints, TensorSpec
from edgewright.core.task import TaskSpec


def model(
    *outputs: tuple[int | str | None, ...], shape: tuple = (1, 3, 640, 640), dtype: str = "float32", **hints: Any
) -> Model:
    return Model(
        Path("m.onnx"),
        "",
        (TensorSpec("images", dtype, shape),),
        tuple(TensorSpec(f"out{k}", "float32", o) for k, o in enumerate(outputs)),
        17,
        hints=TaskHints("detection", **hints),
    )


def spec(found: Model, **options: Any) -> TaskSpec:
    return tasks.get("detection").spec(found, options)


def kinds(steps: tuple[Step, ...]) -> list[str]:
    return [step.kind for step in steps]


ANCHORS = (((10.0, 13.0),) * 3,) * 3


def heads(channels: int) -> tuple[tuple[int, ...], ...]:
    return tuple((1, channels, size, size) for size in (80, 40, 20))


@pytest.mark.parametrize(
    ("outputs", "hints", "decoder", "classes"),
    [
        (((1, 25200, 85),), {"family": "yolov5"}, "yolov5_flat", 80),
        ((("batch", 25200, 7),), {}, "yolov5_flat", 2),
        (heads(255), {"family": "yolov5", "strides": (8, 16, 32), "anchors": ANCHORS}, "yolov5_heads", 80),
        (((1, 8400, 85),), {"family": "yolox"}, "yolox", 80),
        (((1, 84, 8400),), {}, "yolov8_flat", 80),
        (heads(67), {"family": "yolov8", "strides": (8, 16, 32)}, "yolov8_heads", 3),
    ],
)
def test_the_decoder_follows_the_family_or_the_shapes(outputs, hints, decoder, classes):
    made = spec(model(*outputs, **hints))
    assert kinds(made.postprocess) == [decoder, "nms", "unletterbox"]
    assert len(made.labels) == classes


def test_yolox_is_given_bgr_top_left_and_unscaled():
    made = spec(model((1, 3549, 85), shape=(1, 3, 416, 416), family="yolox"))
    assert kinds(made.preprocess) == ["letterbox", "colour", "cast", "layout"]
    assert made.preprocess[0].params["centre"] is False and made.preprocess[0].params["size"] == [416, 416]
    assert made.postprocess[0].params["size"] == [416, 416]


def test_a_network_of_bytes_is_given_bytes():
    made = spec(model((1, 25200, 85), shape=(1, 640, 640, 3), dtype="uint8", family="yolov5"))
    assert kinds(made.preprocess) == ["letterbox", "layout"] and made.preprocess[-1].params == {"to": "NHWC"}


def test_what_the_source_knows_goes_before_defaults_and_the_users_steps_before_both():
    known = (Step("resize", {"size": [640, 640]}), Step("layout", {"to": "NCHW"}))
    found = model((1, 25200, 85), family="yolov5", preprocess=known)
    assert spec(found).preprocess == known
    own = [{"letterbox": {"size": [320, 320]}}, {"kind": "layout", "params": {"to": "NHWC"}}]
    assert kinds(spec(found, preprocess=own).preprocess) == ["letterbox", "layout"]
    with pytest.raises(ConfigError, match="unknown step 'leterbox'") as error:
        spec(found, preprocess=[{"leterbox": {}}])
    assert "letterbox" in error.value.remedy


def test_serving_and_metric_thresholds_are_separate():
    made = spec(model((1, 25200, 85), family="yolov5"), confidence=0.4, metric_iou=0.7, max_detections=30)
    assert made.serve == {"confidence": 0.4, "iou": 0.45, "max_detections": 30, "multi_label": 0}
    assert made.metric == {"confidence": 0.001, "iou": 0.7, "max_detections": 30, "multi_label": 1}


def test_an_open_size_is_640_and_said_so():
    made = spec(model(("b", "n", 85), shape=("b", 3, "h", "w"), family="yolov5"))
    assert made.preprocess[0].params["size"] == [640, 640] and "640×640" in made.notes[0]


def test_labels_come_from_a_list_a_file_or_a_data_yaml(tmp_path):
    found = model((1, 25200, 7), family="yolov5", labels=("hat", "no hat"))
    assert spec(found).labels == ("hat", "no hat")
    assert spec(found, labels=["a", "b"]).labels == ("a", "b")
    (tmp_path / "names.txt").write_text("x\ny\n")
    (tmp_path / "data.yaml").write_text("names: {0: p, 1: q}\n")
    assert spec(found, labels=str(tmp_path / "names.txt")).labels == ("x", "y")
    assert spec(found, labels=str(tmp_path / "data.yaml")).labels == ("p", "q")
    assert spec(model((1, 25200, 7), family="yolov5")).labels == ("class0", "class1")


@pytest.mark.parametrize(
    ("content", "words"),
    [("a\nb\nc\n", "3 names, but the model has 2 classes"), ("\n\n", "no class names"), (None, "cannot be read")],
)
def test_labels_that_do_not_fit_the_classes_are_refused(tmp_path, content, words):
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        spec(model((1, 25200, 7), family="yolov5"), labels=str(path))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (model((1, 1000)), "no detector that is known"),
        (model((1, 25200, 85), shape=(1, 128)), "no image"),
    ],
)
def test_a_model_that_is_no_detector_is_refused(found, words):
    with pytest.raises(InputError, match=words):
        spec(found)
