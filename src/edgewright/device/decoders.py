"""Detector outputs → Candidates, one function per form of output; `kind` of a post-processing step.

What every decoder does first is to throw away what cannot pass the score threshold: a YOLOv5 at
640×640 has 25,200 places and an ordinary picture some fifty that count. Raw scores are compared in
logit space, so no exponential is spent on the rest.

Formulas: YOLOv5 v6 `Detect.forward` (Jocher et al., 2022), YOLOX section 2.1 (Ge et al., 2021),
distribution focal loss for YOLOv8-style heads (Li et al., 2020, "Generalized Focal Loss").
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from edgewright.device.boxes import Candidates, xyxy

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Decoder = Callable[[Mapping[str, Array], Mapping[str, Any], Mapping[str, float]], Candidates]


def yolov5_heads(
    outputs: Mapping[str, Array], params: Mapping[str, Any], thresholds: Mapping[str, float]
) -> Candidates:
    """Raw heads, one role per stride: [1, na·(5+nc), h, w], or [1, h, w, na·(5+nc)] where `layout` is NHWC.

    params: roles, strides, anchors (pixels; per role a list of (w, h)), layout.
    """
    confidence, several = thresholds["confidence"], bool(thresholds.get("multi_label"))
    found = []
    for role, stride, anchors in zip(params["roles"], params["strides"], params["anchors"]):
        logits, anchor, x, y = _confident(outputs[role], len(anchors), params.get("layout", "NCHW"), confidence)
        sides = np.asarray(anchors, dtype=np.float32)[anchor]
        cells = np.stack([x, y], axis=1).astype(np.float32)
        found.append((logits, cells, sides, np.full((len(x), 1), stride, np.float32)))
    logits, cells, sides, strides = (np.concatenate(parts) for parts in zip(*found))
    row, classes, scores = _labelled(logits[:, 5:], sigmoid(logits[:, 4]), confidence, several, raw=True)
    raw = sigmoid(logits[row, :4]) * np.float32(2)
    centre = (raw[:, :2] - np.float32(0.5) + cells[row]) * strides[row]
    return Candidates(xyxy(np.concatenate([centre, raw[:, 2:] ** 2 * sides[row]], axis=1)), scores, classes)


def _confident(head: Array, anchors: int, layout: str, confidence: float) -> Tuple[Array, Array, Array, Array]:
    """Rows whose objectness can pass, [n, 5+nc] raw, with their anchor, x and y; in order of anchor,
    row, column for either layout, so that equal scores rank the same in every artefact."""
    limit = logit(confidence)
    if layout == "NHWC":
        _, height, width, channels = head.shape
        table = head.reshape(height * width, anchors, channels // anchors)
        anchor, place = np.nonzero(table[:, :, 4].T > limit)
        logits = table[place, anchor]
    else:
        _, channels, height, width = head.shape
        table = head.reshape(anchors, channels // anchors, height * width)
        anchor, place = np.nonzero(table[:, 4] > limit)
        logits = table[anchor, :, place]
    return logits, anchor, place % width, place // width


def _labelled(
    classes: Array, scores: Array, confidence: float, several: bool, raw: bool = False
) -> Tuple[Array, Array, Array]:
    """(row, class, score) of what passes: the best class of each row, or (`several`) every class.

    classes: [n, nc] logits (`raw`) or probabilities; scores: [n] objectness to multiply with.
    """
    if classes.shape[1] == 0:  # a detector of one unnamed class has objectness only
        row = np.flatnonzero(scores > confidence)
        return row, np.zeros(len(row), dtype=np.int64), scores[row]
    if several:
        table = (sigmoid(classes) if raw else classes) * scores[:, None]
        row, best = np.nonzero(table > confidence)
        return row, best, table[row, best]
    best = classes.argmax(axis=1)
    top = classes[np.arange(len(best)), best]
    scores = scores * (sigmoid(top) if raw else top)
    row = np.flatnonzero(scores > confidence)
    return row, best[row], scores[row]


def yolov5_flat(outputs: Mapping[str, Array], params: Mapping[str, Any], thresholds: Mapping[str, float]) -> Candidates:
    """Decoded [1, N, 5+nc]: centre x, y, width, height in pixels, objectness, class probabilities.

    params: role.
    """
    confidence = thresholds["confidence"]
    table = outputs[params["role"]][0]
    table = table[table[:, 4] > confidence]
    row, classes, scores = _labelled(table[:, 5:], table[:, 4], confidence, bool(thresholds.get("multi_label")))
    return Candidates(xyxy(table[row, :4]), scores, classes)


def yolox(outputs: Mapping[str, Array], params: Mapping[str, Any], thresholds: Mapping[str, float]) -> Candidates:
    """[1, N, 5+nc] with N over the strides' grids in order; scores are probabilities already.

    params: role; strides and size [h, w] of the network's input; `decoded` where the graph itself
    made pixels of the boxes.
    """
    confidence = thresholds["confidence"]
    table = outputs[params["role"]][0]
    index = np.flatnonzero(table[:, 4] > confidence)
    table = table[index]
    row, classes, scores = _labelled(table[:, 5:], table[:, 4], confidence, bool(thresholds.get("multi_label")))
    xywh = table[row, :4]
    if not params.get("decoded"):
        cells, stride = _cells(index[row], params["strides"], params["size"])
        with np.errstate(over="ignore"):
            xywh = np.concatenate([xywh[:, :2] + cells, np.exp(xywh[:, 2:4])], axis=1) * stride[:, None]
    return Candidates(xyxy(xywh), scores, classes)


def _cells(index: Array, strides: List[int], size: List[int]) -> Tuple[Array, Array]:
    """The grid cell (x, y), float32 [n, 2], and stride, float32 [n], of positions in the flat list."""
    widths = np.array([size[1] // s for s in strides])
    heights = np.array([size[0] // s for s in strides])
    starts = np.concatenate([[0], np.cumsum(widths * heights)])
    level = np.searchsorted(starts, index, side="right") - 1
    inside = index - starts[level]
    cells = np.stack([inside % widths[level], inside // widths[level]], axis=1)
    return cells.astype(np.float32), np.asarray(strides, dtype=np.float32)[level]


def yolov8_flat(outputs: Mapping[str, Array], params: Mapping[str, Any], thresholds: Mapping[str, float]) -> Candidates:
    """Decoded [1, 4+nc, N]: centre x, y, width, height in pixels, then class probabilities.

    params: role.
    """
    confidence = thresholds["confidence"]
    table = outputs[params["role"]][0]
    place = np.flatnonzero(table[4:].max(axis=0) > confidence)
    picked = table[:, place].T
    ones = np.ones(len(place), dtype=np.float32)
    row, classes, scores = _labelled(picked[:, 4:], ones, confidence, bool(thresholds.get("multi_label")))
    return Candidates(xyxy(picked[row, :4]), scores, classes)


def yolov8_heads(
    outputs: Mapping[str, Array], params: Mapping[str, Any], thresholds: Mapping[str, float]
) -> Candidates:
    """Raw heads, one role per stride: [1, 4·reg_max+nc, h, w], or NHWC where `layout` says so.

    A side's distance is the mean of a softmax over `reg_max` bins, in cells; cell centres are at +0.5.
    params: roles, strides, reg_max (default 16), layout.
    """
    confidence, several = thresholds["confidence"], bool(thresholds.get("multi_label"))
    bins = int(params.get("reg_max", 16))
    limit, found = logit(confidence), []
    for role, stride in zip(params["roles"], params["strides"]):
        head = outputs[role]
        if params.get("layout", "NCHW") == "NHWC":
            width = head.shape[2]
            table = head.reshape(-1, head.shape[3])
            place = np.flatnonzero(table[:, 4 * bins :].max(axis=1) > limit)
            picked = table[place]
        else:
            width = head.shape[3]
            flat = head.reshape(head.shape[1], -1)
            place = np.flatnonzero(flat[4 * bins :].max(axis=0) > limit)
            picked = flat[:, place].T
        ones = np.ones(len(place), dtype=np.float32)
        row, classes, scores = _labelled(picked[:, 4 * bins :], ones, confidence, several, raw=True)
        sides = _expected(picked[row, : 4 * bins].reshape(-1, 4, bins))
        centre = np.stack([place[row] % width, place[row] // width], axis=1).astype(np.float32) + np.float32(0.5)
        corners = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1)
        found.append((corners * np.float32(stride), scores, classes))
    return Candidates(*(np.concatenate(parts) for parts in zip(*found)))


def _expected(logits: Array) -> Array:
    """The mean bin under a softmax: [n, 4, bins] → [n, 4]."""
    weight = np.exp(logits - logits.max(axis=2, keepdims=True)) if len(logits) else logits
    bins = np.arange(logits.shape[2], dtype=np.float32)
    return np.asarray((weight * bins).sum(axis=2) / weight.sum(axis=2))


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(100) is inf, and 1 / inf the right answer
        return np.asarray(np.float32(1) / (np.float32(1) + np.exp(-x)))


def logit(probability: float) -> float:
    """log(p / (1 − p)), infinite at 0 and 1."""
    if not 0 < probability < 1:
        return -math.inf if probability <= 0 else math.inf
    return math.log(probability / (1 - probability))


DECODERS: Dict[str, "Decoder"] = {
    "yolov5_heads": yolov5_heads,
    "yolov5_flat": yolov5_flat,
    "yolox": yolox,
    "yolov8_flat": yolov8_flat,
    "yolov8_heads": yolov8_heads,
}
