"""The steps of a detector, from what its source knows of it and what the user sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Step, TaskHints, TensorSpec
from edgewright.core.task import TaskSpec
from edgewright.device.steps import POSTPROCESS, PREPROCESS
from edgewright.tasks.class_names import class_names
from edgewright.tasks.model_input import ImageInput, image_input, to_tensor
from edgewright.tasks.step_options import configured_steps

DEFAULT_SIZE = 640
DEFAULT_STRIDES = (8, 16, 32)


def detection_spec(model: Model, options: Mapping[str, Any]) -> TaskSpec:
    """TaskSpec of a detector. InputError where its outputs are of no known family and `task.postprocess`
    does not say, or where the labels are not as many as the classes."""
    hints, image = model.hints, image_input(model, DEFAULT_SIZE)
    preprocess = configured_steps(options.get("preprocess"), PREPROCESS, "preprocess")
    postprocess = configured_steps(options.get("postprocess"), POSTPROCESS, "postprocess")
    preprocess = preprocess or hints.preprocess or _preprocess(hints.family, image)
    postprocess = postprocess or hints.postprocess or _postprocess(hints, model, image)
    classes = _class_count(postprocess, model)
    labels = class_names(options.get("labels"), hints.labels, classes)
    if not labels:
        raise InputError("The model does not say how many classes it has.", "Set `task.labels`.")
    notes = [*hints.notes]
    if image.dynamic and not hints.preprocess:
        notes.append(
            f"The model takes any size; {image.width}×{image.height} is used (set `model.inputs` to change it)."
        )
    limit = float(options.get("max_detections", 100))
    return TaskSpec(
        kind="detection",
        preprocess=preprocess,
        postprocess=postprocess,
        labels=labels,
        serve=_thresholds(options.get("confidence", 0.25), options.get("iou", 0.45), limit, several=False),
        metric=_thresholds(
            options.get("metric_confidence", 0.001), options.get("metric_iou", 0.6), limit, several=True
        ),
        notes=tuple(notes),
    )


def _thresholds(confidence: float, iou: float, limit: float, *, several: bool) -> dict[str, float]:
    """`multi_label`: whether one place may give a box for each class above the threshold. mAP is
    customarily taken so (YOLOv5's val.py does); a user wants one box per object (its detect.py)."""
    return {
        "confidence": float(confidence),
        "iou": float(iou),
        "max_detections": limit,
        "multi_label": float(several),
    }


def _preprocess(family: str, image: ImageInput) -> tuple[Step, ...]:
    if family == "yolox":
        box = Step("letterbox", {"size": image.size, "value": 114, "centre": False, "scale_up": True})
        return (box, *to_tensor(image, order="bgr", factor=None))
    box = Step("letterbox", {"size": image.size, "value": 114, "centre": True, "scale_up": True})
    return (box, *to_tensor(image, order="rgb", factor=1 / 255))


def _postprocess(hints: TaskHints, model: Model, image: ImageInput) -> tuple[Step, ...]:
    decoder = _decoder(hints, model.outputs, image)
    if decoder is None:
        shapes = "; ".join(f"{o.name} {'×'.join(map(str, o.shape))}" for o in model.outputs[:4])
        raise InputError(
            f"The outputs ({shapes}) are of no detector that is known.",
            "Say how to read them in `task.postprocess`, or set `task: {kind: tensors}`.",
        )
    return decoder, Step("nms", {"class_wise": True}), Step("unletterbox")


def _decoder(hints: TaskHints, outputs: Sequence[TensorSpec], image: ImageInput) -> Step | None:
    """The decoder by the family the source named, else by the one form that the shapes allow."""
    first = outputs[0]
    strides = list(hints.strides or DEFAULT_STRIDES)
    cells = sum((image.height // s) * (image.width // s) for s in strides)
    heads = [o for o in outputs if len(o.shape) == 4]
    if hints.family == "yolov5" and len(heads) == len(strides) and hints.anchors:
        anchors = [[list(pair) for pair in row] for row in hints.anchors]
        return Step("yolov5_heads", {"roles": [o.name for o in heads], "strides": strides, "anchors": anchors})
    if hints.family == "yolov8" and len(heads) == len(strides):
        return Step("yolov8_heads", {"roles": [o.name for o in heads], "strides": strides, "reg_max": 16})
    if len(first.shape) != 3:
        return None
    rows, columns = first.shape[1], first.shape[2]
    if hints.family == "yolox":
        return Step("yolox", {"role": first.name, "strides": strides, "size": image.size, "decoded": False})
    if hints.family == "yolov8" or (not hints.family and columns == cells and isinstance(rows, int) and rows > 4):
        return Step("yolov8_flat", {"role": first.name})
    if hints.family == "yolov5" or (not hints.family and rows == 3 * cells):
        return Step("yolov5_flat", {"role": first.name})
    return None


def _class_count(steps: Sequence[Step], model: Model) -> int | None:
    """Classes by the shape of the outputs that the decoder reads; None where they are open."""
    shapes = {o.name: o.shape for o in model.outputs}
    for step in steps:
        roles = step.params.get("roles") or [step.params.get("role")]
        shape = shapes.get(roles[0] or "")
        if shape is None:
            continue
        count: int | str | None = None
        if step.kind in ("yolov5_flat", "yolox"):
            count = _minus(shape[2], 5)
        elif step.kind == "yolov8_flat":
            count = _minus(shape[1], 4)
        elif step.kind == "yolov8_heads":
            count = _minus(_channels(step, shape), 4 * int(step.params.get("reg_max", 16)))
        elif step.kind == "yolov5_heads":
            channels = _channels(step, shape)
            each = len(step.params["anchors"][0])
            count = _minus(channels // each, 5) if isinstance(channels, int) and channels % each == 0 else None
        return count if isinstance(count, int) and 0 < count < math.inf else None
    return None


def _channels(step: Step, shape: Sequence[int | str | None]) -> int | str | None:
    return shape[3] if step.params.get("layout") == "NHWC" else shape[1]


def _minus(size: int | str | None, extra: int) -> int | None:
    return size - extra if isinstance(size, int) else None
