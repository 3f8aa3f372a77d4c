"""Every form of pre- and post-processing, C++ beside Python, over models whose outputs are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workshop import ask, constant_model, echo_model, port, service, service_folder, steps, write_ppm

from edgewright.core.recipe import EngineSpec
from edgewright.device.compare import overlap
from edgewright.device.service import Service

pytestmark = pytest.mark.slow

SIDE = 64
BOXED = (("letterbox", {"size": [SIDE, SIDE]}), ("layout", {"to": "NHWC"}))
ANCHORS = [[(4.0, 6.0), (9.0, 5.0)], [(16.0, 20.0), (30.0, 12.0)]]


def heads(nhwc: bool, channels: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    found = {}
    for stride in (8, 16):
        cells = SIDE // stride
        shape = (1, cells, cells, channels) if nhwc else (1, channels, cells, cells)
        found[f"head_{stride}"] = random.normal(-1, 1.5, shape)
    return found


def flat(rows: int, columns: int, random: np.random.Generator) -> np.ndarray:
    """Plausible decoded rows: centre and size in pixels, then probabilities."""
    table = random.uniform(0, 1, (1, rows, columns)) ** 3
    table[..., :2] = random.uniform(0, SIDE, (1, rows, 2))
    table[..., 2:4] = random.uniform(2, 40, (1, rows, 2))
    return table


def form(name: str, random: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    roles, strides = ["head_8", "head_16"], [8, 16]
    layout = "NHWC" if name.endswith("nhwc") else "NCHW"
    kind = name.removesuffix("_nhwc")
    if kind == "yolov5_heads":
        params = {"roles": roles, "strides": strides, "anchors": ANCHORS, "layout": layout}
        return heads(layout == "NHWC", 2 * 8, random), {"kind": kind, "params": params}
    if kind == "yolov8_heads":
        params = {"roles": roles, "strides": strides, "reg_max": 4, "layout": layout}
        return heads(layout == "NHWC", 4 * 4 + 3, random), {"kind": kind, "params": params}
    if kind == "yolov8_flat":
        table = np.delete(flat(200, 8, random), 4, axis=2).transpose(0, 2, 1)
        return {"out": table}, {"kind": kind, "params": {"role": "out"}}
    if kind == "yolox":
        table = flat(64 + 16, 8, random)
        table[..., :4] = random.normal(0, 1, table[..., :4].shape)
        return {"out": table}, {"kind": kind, "params": {"role": "out", "strides": strides, "size": [SIDE, SIDE]}}
    return {"out": flat(200, 8, random)}, {"kind": "yolov5_flat", "params": {"role": "out"}}


FORMS = ("yolov5_heads", "yolov5_heads_nhwc", "yolov8_heads_nhwc", "yolov8_flat", "yolox", "yolov5_flat")


@pytest.mark.parametrize("name", FORMS)
def test_boxes_of_every_form_are_those_of_the_python_service(cpu, tmp_path: Path, name: str) -> None:
    outputs, decoder = form(name, np.random.default_rng(FORMS.index(name)))
    constant_model(tmp_path / "main.onnx", (1, SIDE, SIDE, 3), outputs)
    ports = tuple(port(role, values.shape) for role, values in outputs.items())
    entry = EngineSpec(
        "model/main.onnx", {"inference_precision": "f32"}, (port("x", (1, SIDE, SIDE, 3), "uint8"),), ports
    )
    class_wise = name != "yolov5_flat"
    post = steps((decoder["kind"], decoder["params"]), ("nms", {"class_wise": class_wise}), ("unletterbox", {}))
    spec = service(steps(*BOXED), post, entry)
    folder = service_folder(spec, tmp_path / "main.onnx", tmp_path / "service")
    pixels = np.random.default_rng(1).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    picture = write_ppm(tmp_path / "a.ppm", pixels)
    program = cpu.program(spec)
    python = Service(str(folder))
    for mode, words in (("serve", ()), ("metric", ("--metric",))):
        (line,) = ask(program, "--model", folder / "model/main.onnx", picture, *words)
        session = python.session(mode)
        expected = python.predict(session, [pixels])[0][0]
        assert len(expected) > 5, "a test of nothing"
        same_boxes(line["prediction"], expected)


def same_boxes(seen: list[Any], expected: list[Any]) -> None:
    assert [row[0] for row in seen] == [row[0] for row in expected]
    for left, right in zip(seen, expected, strict=True):
        assert abs(left[1] - right[1]) <= 1e-4
        assert overlap(left, right) >= 0.999


SMALL = ("resize", {"size": [12, 16]})
PREPARED = {
    "corner": ("uint8", "NHWC", [("letterbox", {"size": [12, 16], "centre": False, "value": 7})]),
    "small": ("uint8", "NHWC", [("letterbox", {"size": [40, 64], "scale_up": False})]),
    "bgr": ("uint8", "NCHW", [SMALL, ("colour", {"order": "bgr"})]),
    "crop": ("uint8", "NHWC", [("resize", {"size": [8, 16], "keep_ratio": True}), ("centre_crop", {"size": [8, 16]})]),
    "gray": ("uint8", "NHWC", [SMALL, ("colour", {"order": "gray"})]),
    "nv12": ("uint8", "", [("letterbox", {"size": [12, 16]}), ("nv12", {})]),
    "normalised": (
        "float32",
        "NCHW",
        [SMALL, ("scale", {"factor": 1 / 255}), ("normalise", {"mean": [0.48, 0.45, 0.4], "std": [0.22, 0.23, 0.2]})],
    ),
    "half": ("float16", "NCHW", [SMALL, ("scale", {"factor": 1 / 255}), ("cast", {"dtype": "float16"})]),
}


@pytest.mark.parametrize("name", PREPARED)
def test_what_the_model_is_given_is_what_python_gives_it(cpu, tmp_path: Path, name: str) -> None:
    dtype, layout, entries = PREPARED[name]
    pre = steps(*entries, *([("layout", {"to": layout})] if layout else []))
    pixels = np.random.default_rng(3).integers(0, 256, (25, 37, 3), dtype=np.uint8)
    from edgewright.device.steps import Preprocess

    array, _ = Preprocess([step.to_json() for step in pre])(pixels)
    count = echo_model(tmp_path / "main.onnx", dtype, array.shape)
    entry = EngineSpec(
        "model/main.onnx", {"inference_precision": "f32"}, (port("x", array.shape, dtype),), (port("y", (1, count)),)
    )
    spec = service(pre, steps(("identity", {"role": "y"}), ("top_k", {"k": count})), entry, "classification")
    program = cpu.program(spec)
    (line,) = ask(program, "--model", tmp_path / "main.onnx", write_ppm(tmp_path / "a.ppm", pixels))
    seen = np.empty(count)
    for place, value in line["prediction"]:
        seen[place] = value
    allowed = 1 if name == "nv12" else 1e-6  # a sum of three products in another order may fall to the other side
    np.testing.assert_allclose(seen, array.astype(np.float64).reshape(-1), atol=allowed)
    assert name != "nv12" or (seen != array.reshape(-1)).mean() < 0.01


@pytest.mark.parametrize("first", ["softmax", "identity"])
def test_a_classifier_gives_the_classes_that_python_gives(cpu, tmp_path: Path, first: str) -> None:
    outputs = {
        "y": np.array([[0.1, np.nan, 3.0, -1.0, 3.0, np.inf, 2.0]]) if first == "identity" else np.arange(7.0)[None]
    }
    constant_model(tmp_path / "main.onnx", (1, 8, 8, 3), outputs)
    entry = EngineSpec("model/main.onnx", {}, (port("x", (1, 8, 8, 3), "uint8"),), (port("y", (1, 7)),))
    pre = steps(("resize", {"size": [8, 8]}), ("layout", {"to": "NHWC"}))
    spec = service(pre, steps((first, {"role": "y"}), ("top_k", {"k": 4})), entry, "classification")
    folder = service_folder(spec, tmp_path / "main.onnx", tmp_path / "service")
    pixels = np.full((9, 9, 3), 5, np.uint8)
    (line,) = ask(cpu.program(spec), "--model", folder / "model/main.onnx", write_ppm(tmp_path / "a.ppm", pixels))
    python = Service(str(folder))
    expected = python.predict(python.session(), [pixels])[0][0]
    assert [entry[0] for entry in line["prediction"]] == [entry[0] for entry in expected]
    np.testing.assert_allclose([entry[1] for entry in line["prediction"]], [entry[1] for entry in expected], atol=1e-6)
