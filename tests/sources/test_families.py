from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.sources.families import Metadata, recognise

IMAGE = (TensorSpec("images", "float32", ("batch", 3, 64, 64)),)
CELLS = 64 + 16 + 4


def seen(
    shape: tuple[int, ...], metadata: Metadata = Metadata(), labels: tuple[str, ...] = (), value: Any = None
) -> Any:
    answer = np.random.default_rng(0).standard_normal(shape).astype(np.float32) if value is None else value
    return recognise(IMAGE, {"out": answer}, metadata, labels).hints


@pytest.mark.parametrize(
    ("shape", "family", "classes"),
    [
        ((1, 3 * CELLS, 7), "yolov5", 2),
        ((1, 3 * (CELLS + 1), 7), "yolov5", 2),  # four levels, strides 8 to 64
        ((1, CELLS, 9), "yolox", 4),
        ((1, 4 + 10, CELLS), "yolov8", 10),
    ],
)
def test_detectors_are_told_by_the_shape_of_their_answer(shape: tuple[int, ...], family: str, classes: int) -> None:
    hints = seen(shape)
    assert (hints.kind, hints.family, len(hints.labels)) == ("detection", family, classes)
    assert hints.postprocess[0].params["role"] == "out"


def test_a_yolox_answer_in_pixels_is_told_from_one_in_cells() -> None:
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((1, CELLS, 9)).astype(np.float32)
    grid = [(x, y, s) for s in (8, 16, 32) for y in range(64 // s) for x in range(64 // s)]
    pixels = raw.copy()
    pixels[0, :, 0] = [(x + dx) * s for (x, _, s), dx in zip(grid, raw[0, :, 0] * 0.3, strict=True)]
    assert seen(raw.shape, value=raw).postprocess[0].params["decoded"] is False
    assert seen(raw.shape, value=pixels).postprocess[0].params["decoded"] is True


def test_yolox_is_fed_as_it_was_trained() -> None:
    steps = {step.kind: step.params for step in seen((1, CELLS, 9)).preprocess}
    assert steps["letterbox"]["centre"] is False
    assert steps["colour"] == {"order": "bgr"}
    assert steps["scale"] == {"factor": 1.0}


def test_eighty_classes_without_names_are_called_as_in_coco_and_that_is_said() -> None:
    hints = seen((1, 3 * CELLS, 85))
    assert (hints.labels[0], hints.labels[79]) == ("person", "toothbrush")
    assert "COCO" in hints.notes[0]


def test_names_in_the_file_win_over_coco_and_the_users_over_both() -> None:
    named = Metadata(labels=tuple(f"n{i}" for i in range(80)))
    assert seen((1, 3 * CELLS, 85), named).labels[0] == "n0"
    assert seen((1, 3 * CELLS, 85), named, tuple(f"u{i}" for i in range(80))).labels[0] == "u0"


def test_names_in_the_file_that_do_not_fit_are_told() -> None:
    assert "2 classes" in seen((1, 3 * CELLS, 10), Metadata(labels=("a", "b"))).notes[0]


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError):
        seen((1, 3 * CELLS, 85), labels=("a",))


def test_classifiers_with_and_without_softmax() -> None:
    logits = np.array([[1.0, -2.0, 3.0]], np.float32)
    assert seen((1, 3), value=logits).postprocess[0].kind == "softmax"
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert seen((1, 3), value=probabilities).postprocess[0].kind == "identity"


def test_a_classifier_of_eighty_is_not_given_coco_names() -> None:
    assert seen((1, 80)).labels[0] == "class0"


@pytest.mark.parametrize("shape", [(1, 300, 6), (1, 5, 6, 7), (1, 1), (1, 4 + 2 + 32, CELLS, 1), (8,)])
def test_anything_else_is_tensors(shape: tuple[int, ...]) -> None:
    assert seen(shape).kind == "tensors"


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_a_task_that_is_not_known_is_tensors_and_says_so(task: str) -> None:
    hints = seen((1, 4 + 10, CELLS), Metadata(task=task))
    assert hints.kind == "tensors"
    assert task in hints.notes[0]


def test_two_inputs_are_never_an_image_model() -> None:
    answer = {"out": np.zeros((1, 3 * CELLS, 85), np.float32)}
    assert recognise(IMAGE * 2, answer, Metadata(), ()).hints.kind == "tensors"


def test_small_classifiers_are_fed_plain_pixels_and_large_ones_as_imagenet() -> None:
    def kinds(side: int, metadata: Metadata = Metadata()) -> list[str]:
        image = (TensorSpec("x", "float32", (1, 3, side, side)),)
        hints = recognise(image, {"y": np.array([[1.0, 2.0]], np.float32)}, metadata, ()).hints
        return [step.kind for step in hints.preprocess]

    assert kinds(32) == ["resize", "colour", "scale", "layout"]
    assert kinds(224) == ["resize", "colour", "scale", "normalise", "layout"]
    assert kinds(32, Metadata(mean=(0.5,) * 3, std=(0.5,) * 3)) == ["resize", "colour", "scale", "normalise", "layout"]
    assert kinds(224, Metadata(task="classify")) == ["resize", "centre_crop", "colour", "scale", "layout"]
