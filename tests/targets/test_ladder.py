"""What each family builds of a detector: swallowed steps, quantised operators, close answers, honest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from services import heads

from edgewright.core.task import Dataset

FAMILIES = ("onnxruntime", "openvino")
Make = Callable[[str, str], Any]


def signal_to_noise(reference: dict[str, Any], other: dict[str, Any]) -> float:
    """Decibels over all heads."""
    signal = sum(float((array**2).sum()) for array in reference.values())
    noise = sum(float(((array - other[role]) ** 2).sum()) for role, array in reference.items())
    return 10 * np.log10(signal / max(noise, 1e-12))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_float_service_takes_pixels_and_gives_raw_heads(family: str, service: Make) -> None:
    _, made = service(family, "fp32")
    assert [step["kind"] for step in made.spec["task"]["preprocess"]] == ["letterbox", "layout"]
    assert made.spec["task"]["postprocess"][0]["kind"] == "yolov5_heads"
    (port,) = made.main.inputs
    assert (port["role"], port["dtype"], list(port["shape"])) == ("image", "uint8", [1, 64, 64, 3])


@pytest.mark.parametrize("family", FAMILIES)
def test_int8_answers_stay_close_to_fp32(family: str, service: Make, pictures: Dataset) -> None:
    (_, plain), (_, small) = service(family, "fp32"), service(family, "int8")
    picture = plain.session("metric").decode(str(pictures.samples[0].path))
    assert signal_to_noise(heads(plain, picture), heads(small, picture)) > 20


@pytest.mark.parametrize("family", FAMILIES)
def test_int8_is_counted_by_what_ran(family: str, service: Make) -> None:
    counted = service(family, "int8")[1].main.engine.executed()
    assert counted["ops"]["int8"] >= 2
    assert sum(counted["precisions"].values()) == pytest.approx(1)
    plain = service(family, "fp32")[1].main.engine.executed()
    assert plain["precisions"].get("int8", 0) < 0.2


def test_both_families_find_the_same_boxes(service: Make, pictures: Dataset) -> None:
    made = [service(family, "fp32")[1] for family in FAMILIES]
    picture = made[0].session("serve").decode(str(pictures.samples[1].path))
    first, second = (one.session("serve").run(picture) for one in made)
    assert len(first) == len(second) > 0
    np.testing.assert_allclose(np.array(first), np.array(second), atol=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_settled_when_the_engine_opens(family: str, service: Make) -> None:
    _, made = service(family, "fp32")
    entry = made.spec["engines"]["main"]
    engine = type(made.main.engine)(f"{made.folder}/{entry['path']}", {**entry["settings"], "batch": 3})
    assert engine.inputs[0]["shape"][0] == 3
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    together = {name: array.copy() for name, array in engine.run({"images": pixels}).items()}
    alone = {name: array.copy() for name, array in made.main.engine.run({"images": pixels[1:2]}).items()}
    for name, array in alone.items():
        np.testing.assert_allclose(together[name][1:2], array, rtol=1e-4, atol=1e-4)


def test_openvino_fuses_everything_around_int8_convolutions(service: Make) -> None:
    """No operator of its own for activations, and pixels go straight into the first convolution."""
    engine = service("openvino", "int8")[1].main.engine
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    kinds = [operator["type"] for operator in engine.profile({"images": pixels}, 2)["operators"]]
    assert "FakeQuantize" not in kinds and "Subgraph" not in kinds


def test_the_first_onnxruntime_convolution_takes_pixels_as_they_are(service: Make) -> None:
    import onnx

    made = service("onnxruntime", "int8")[1]
    graph = onnx.load(f"{made.folder}/model/main.onnx").graph
    assert [node.op_type for node in graph.node if node.op_type == "Cast"] == []
