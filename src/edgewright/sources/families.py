"""Which kind of model is this? Told from the shapes of its inputs and of what it really answers, never from its name.

| family  | answer                     | N                                                        |
|---------|----------------------------|----------------------------------------------------------|
| yolov5  | batch × N × (5 + classes)  | anchors (1–9) × Σ cells of 3 or 4 levels, pixels, decoded |
| yolox   | batch × N × (5 + classes)  | Σ cells of 3 levels                                      |
| yolov8  | batch × (4 + classes) × N  | Σ cells of 3 or 4 levels                                 |
| classes | batch × classes            |                                                          |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.model import Step, TaskHints, TensorSpec
from edgewright.sources.labels import labels_for

LEVELS = ((8, 16, 32), (8, 16, 32, 64))
LARGE = 128
"""Pixels from which a classifier is taken to be one of ImageNet's kind."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Metadata:
    """What a file or a module says of itself; empty fields were not said. `size` is (height, width); `mean` and `std`
    normalise a classifier's image after it was scaled to 0–1."""

    labels: tuple[str, ...] = ()
    task: str = ""
    stride: int = 0
    size: tuple[int, int] | None = None
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """What the model is, and the one output its task reads ("" keeps them all)."""

    hints: TaskHints
    output: str = ""


def recognise(
    inputs: Sequence[TensorSpec],
    answers: Mapping[str, NDArray[Any]],
    metadata: Metadata,
    given: tuple[str, ...],
) -> Recognised:
    """`answers` are the outputs for one example; `given` the user's own labels. Never raises but for labels that do
    not fit (InputError)."""
    size = _image(inputs)
    if size is not None and metadata.task in ("", "detect", "detection"):
        for output, answer in answers.items():
            found = _detector(output, answer, size, metadata, given)
            if found is not None:
                return found
    if size is not None and metadata.task in ("", "classify", "classification") and len(answers) == 1:
        ((output, answer),) = answers.items()
        if answer.ndim == 2 and answer.shape[1] >= 2 and answer.dtype.kind == "f":
            return _classifier(inputs[0], output, answer, size, metadata, given)
    note = f"The file's metadata says '{metadata.task}', which is compared as tensors here." if metadata.task else ""
    labels = given or metadata.labels
    return Recognised(TaskHints(kind="tensors", labels=labels, notes=(note,) if note else ()))


def _image(inputs: Sequence[TensorSpec]) -> tuple[int, int] | None:
    """Height and width, where the one input is an image (batch × 1 or 3 × H × W)."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] not in (1, 3):
        return None
    height, width = inputs[0].shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _detector(
    output: str, answer: NDArray[Any], size: tuple[int, int], metadata: Metadata, given: tuple[str, ...]
) -> Recognised | None:
    if answer.ndim != 3:
        return None
    _, rows, columns = answer.shape
    for strides in LEVELS:
        if any(side % strides[-1] for side in size):
            continue
        cells = sum((size[0] // s) * (size[1] // s) for s in strides)
        if columns == cells and 5 <= rows < columns:
            return _hints("yolov8", Step("yolov8_flat", {"role": output}), rows - 4, strides, size, metadata, given)
        if rows == cells and columns >= 6:
            decoded = _in_pixels(answer, strides, size)
            params = {"role": output, "strides": list(strides), "size": list(size), "decoded": decoded}
            return _hints("yolox", Step("yolox", params), columns - 5, strides, size, metadata, given)
        if rows % cells == 0 and 2 <= rows // cells <= 9 and columns >= 6:
            return _hints("yolov5", Step("yolov5_flat", {"role": output}), columns - 5, strides, size, metadata, given)
    return None


def _in_pixels(answer: NDArray[Any], strides: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether centres already follow their cells over the image; undecoded ones are offsets of a cell or so."""
    centres = np.concatenate([np.tile(np.arange(size[1] // s) * s, size[0] // s) for s in strides])
    x = answer[0, :, 0].astype(np.float64)
    spread = x.std() * centres.std()
    return bool(spread > 0 and np.mean((x - x.mean()) * (centres - centres.mean())) / spread > 0.9)


def _hints(
    family: str,
    decode: Step,
    classes: int,
    strides: tuple[int, ...],
    size: tuple[int, int],
    metadata: Metadata,
    given: tuple[str, ...],
) -> Recognised:
    labels, notes = labels_for(given, metadata.labels, classes)
    if metadata.labels and len(metadata.labels) != classes:
        notes = (f"The file names {len(metadata.labels)} classes, but its answers hold {classes}.", *notes)
    yolox = family == "yolox"
    letterbox = {"size": list(size), "value": 114, "centre": not yolox, "scale_up": True}
    hints = TaskHints(
        kind="detection",
        family=family,
        labels=labels,
        strides=strides,
        anchors=metadata.anchors if family == "yolov5" and len(metadata.anchors) == len(strides) else (),
        preprocess=(
            Step("letterbox", letterbox),
            Step("colour", {"order": "bgr" if yolox else "rgb"}),
            Step("scale", {"factor": 1.0 if yolox else 1 / 255}),
            Step("layout", {"to": "NCHW"}),
        ),
        postprocess=(decode, Step("nms", {"class_wise": True}), Step("unletterbox")),
        notes=notes,
    )
    return Recognised(hints, str(decode.params["role"]))


def _classifier(
    image: TensorSpec,
    output: str,
    answer: NDArray[Any],
    size: tuple[int, int],
    metadata: Metadata,
    given: tuple[str, ...],
) -> Recognised:
    classes = answer.shape[1]
    labels, notes = labels_for(given, metadata.labels, classes, coco=False)
    normalised = bool((answer >= 0).all() and np.allclose(answer.sum(1), 1, atol=1e-3))
    steps = [Step("resize", {"size": list(size), "keep_ratio": False})]
    if metadata.task:  # Ultralytics' classifiers: the short side to the size, the middle cut out, no mean
        steps = [Step("resize", {"size": list(size), "keep_ratio": True}), Step("centre_crop", {"size": list(size)})]
    steps += [
        Step("colour", {"order": "gray" if image.shape[1] == 1 else "rgb"}),
        Step("scale", {"factor": 1 / 255}),
    ]
    mean, std, said = _normalisation(image.shape[1] == 3, size, metadata)
    if mean:
        steps.append(Step("normalise", {"mean": list(mean), "std": list(std)}))
    notes += said
    hints = TaskHints(
        kind="classification",
        labels=labels,
        preprocess=(*steps, Step("layout", {"to": "NCHW"})),
        postprocess=(
            Step("identity" if normalised else "softmax", {"role": output}),
            Step("top_k", {"k": min(5, classes)}),
        ),
        notes=notes,
    )
    return Recognised(hints, output)


def _normalisation(
    colours: bool, size: tuple[int, int], metadata: Metadata
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """Mean, deviation and a note. What is not said is guessed: networks for large pictures nearly all began with
    ImageNet's weights and its normalisation, small ones with neither."""
    if metadata.mean and metadata.std:
        return metadata.mean, metadata.std, ()
    if metadata.task:  # Ultralytics' classifiers use none
        return (), (), ()
    ask = "state `task.preprocess` where the training used others."
    if colours and min(size) >= LARGE:
        return IMAGENET_MEAN, IMAGENET_STD, (f"ImageNet's mean and deviation are assumed; {ask}",)
    return (), (), (f"Pixels are scaled to 0–1, without mean and deviation; {ask}",)
