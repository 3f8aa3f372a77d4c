"""The vocabulary of steps, each against numpy that says the same the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import image
from edgewright.device.steps import ClassifierPostprocess, DetectorPostprocess, Preprocess, StepError


def step(kind: str, **params: object) -> dict:
    return {"kind": kind, "params": params}


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


FLOATS = [
    [step("scale", factor=1 / 255)],
    [step("colour", order="bgr"), step("cast", dtype="float32")],
    [step("scale", factor=1 / 255), step("normalise", mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])],
    [step("colour", order="gray"), step("scale", factor=1 / 255), step("normalise", mean=[0.5], std=[0.25])],
    [step("colour", order="bgr")],
    [],
]


def the_long_way(array: np.ndarray, steps: list[dict], layout: str) -> np.ndarray:
    for one in steps:
        p = one["params"]
        if one["kind"] == "colour" and p["order"] == "bgr":
            array = array[..., ::-1]
        elif one["kind"] == "colour":
            luma = array.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
            array = ((luma + 32768) >> 16).astype(np.uint8)[..., None]
        elif one["kind"] == "scale":
            array = array.astype(np.float32) * np.float32(p["factor"])
        elif one["kind"] == "normalise":
            array = (array - np.array(p["mean"], np.float32)) / np.array(p["std"], np.float32)
        elif one["kind"] == "cast":
            array = array.astype(p["dtype"])
    return np.ascontiguousarray(array.transpose(2, 0, 1) if layout == "NCHW" else array)[None]


@pytest.mark.parametrize("without", ["", "1"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("steps", FLOATS, ids=lambda s: "-".join(x["kind"] for x in s) or "bytes")
def test_steps_give_what_they_say_in_dense_memory(steps, layout, without, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_NO_OPENCV", without)
    prepare = Preprocess([step("letterbox", size=[40, 48]), *steps, step("layout", to=layout)])
    for seed, (height, width) in enumerate([(20, 48), (40, 20), (40, 48)]):  # the second call reuses every array
        source = pixels(height, width, seed)
        array, geometry = prepare(source)
        ratio = min(40 / height, 48 / width)
        tall, wide = round(height * ratio), round(width * ratio)
        canvas = np.full((40, 48, 3), 114, np.uint8)
        top, left = (40 - tall) // 2, (48 - wide) // 2
        canvas[top : top + tall, left : left + wide] = image.resize_numpy(source, wide, tall)
        wanted = the_long_way(canvas, steps, layout)
        assert array.dtype == wanted.dtype and array.flags.c_contiguous
        assert np.array_equal(array, wanted)
        assert (geometry.left, geometry.top) == (left, top)


def test_pixels_handed_in_are_never_changed():
    source = pixels(40, 48)
    before = source.copy()
    for steps in FLOATS:
        Preprocess([step("letterbox", size=[40, 48]), *steps, step("layout", to="NCHW")])(source)
        Preprocess([*steps, step("layout", to="NHWC")])(source)
    assert np.array_equal(source, before)


def test_a_letterbox_without_centre_puts_the_image_top_left():
    array, geometry = Preprocess([step("letterbox", size=[32, 32], centre=False)])(np.zeros((16, 32, 3), np.uint8))
    assert (array[:16] == 0).all() and (array[16:] == 114).all()
    assert (geometry.left, geometry.top) == (0, 0)


def test_a_letterbox_that_may_not_enlarge_keeps_the_size():
    array, geometry = Preprocess([step("letterbox", size=[32, 32], scale_up=False)])(np.zeros((8, 8, 3), np.uint8))
    assert (array[12:20, 12:20] == 0).all() and (array == 0).sum() == 8 * 8 * 3
    assert geometry.scale_x == 1


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    target=st.tuples(st.integers(8, 64), st.integers(8, 64)),
    centre=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_box_goes_through_the_letterbox_and_back(size, target, centre):
    _, g = Preprocess([step("letterbox", size=list(target), centre=centre)])(np.zeros((*size, 3), np.uint8))
    corners = np.array([[0, 0], [size[1], size[0]]], float)
    network = corners * [g.scale_x, g.scale_y] + [g.left, g.top]
    assert (network >= 0).all() and (network <= np.array([target[1], target[0]]) + 1e-9).all()
    assert np.allclose((network - [g.left, g.top]) / [g.scale_x, g.scale_y], corners)


def test_resize_and_crop_keep_track_of_where_pixels_come_from():
    prepare = Preprocess([step("resize", size=[20, 20], keep_ratio=True), step("centre_crop", size=[20, 20])])
    array, g = prepare(pixels(40, 80))
    assert array.shape == (20, 20, 3)
    assert ((0 - g.left) / g.scale_x, (20 - g.left) / g.scale_x) == (20, 60)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step("leterbox", size=[8, 8])], "no pre-processing step 'leterbox'"),
        ([step("resize", sise=[8, 8])], "wrong parameters"),
        ([step("colour", order="hsv")], "no colour order"),
        ([step("layout", to="CHW")], "no layout"),
    ],
)
def test_a_wrong_step_is_named_when_the_task_opens(steps, words):
    with pytest.raises(StepError, match=words):
        Preprocess(steps)


def test_what_is_no_picture_is_refused():
    with pytest.raises(StepError, match="uint8 height"):
        Preprocess([])(np.zeros((4, 4), np.uint8))
    with pytest.raises(StepError, match="no middle"):
        Preprocess([step("centre_crop", size=[8, 8])])(pixels(4, 4))


def test_a_detector_gives_boxes_in_source_pixels_best_first():
    row = [16, 16, 8, 8, 1.0, 0.9, 0.1]
    low = [16, 16, 8, 8, 1.0, 0.2, 0.6]
    after = DetectorPostprocess(
        [step("yolov5_flat", role="out"), step("nms", class_wise=True), step("unletterbox")],
        {"confidence": 0.25, "iou": 0.45, "max_detections": 10, "multi_label": 0},
    )
    _, geometry = Preprocess([step("letterbox", size=[32, 32])])(np.zeros((64, 64, 3), np.uint8))
    rows = after({"out": np.array([[low, row]], np.float32)}, geometry)
    assert rows == [[0, pytest.approx(0.9), 24, 24, 40, 40], [1, pytest.approx(0.6), 24, 24, 40, 40]]


def test_a_classifier_gives_probabilities_best_first():
    after = ClassifierPostprocess([step("softmax", role="y"), step("top_k", k=2)])
    rows = after({"y": np.array([[0.0, 2.0, 1.0]], np.float32)})
    assert [row[0] for row in rows] == [1, 2]
    assert rows[0][1] == pytest.approx(np.exp(2) / np.exp([0, 1, 2]).sum(), abs=1e-6)
    same = ClassifierPostprocess([step("identity", role="y")])({"y": np.array([[0.25, np.nan, 0.75]], np.float32)})
    assert same == [[2, 0.75], [0, 0.25], [1, -1.0]]


def test_a_task_without_decoder_or_probabilities_is_refused():
    with pytest.raises(StepError, match="no decoder"):
        DetectorPostprocess([step("nms")], {})
    with pytest.raises(StepError, match="softmax"):
        ClassifierPostprocess([step("top_k", k=5)])
