"""Boxes after the network: overlap, non-maximum suppression, and back to the source image's pixels.

A box is (x1, y1, x2, y2); arrays are float32 [n, 4]. Nothing here depends on a model family
(`decoders.py` turns a family's outputs into Candidates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, NamedTuple, Tuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MAX_CANDIDATES = 30_000
"""Best-scored candidates that suppression looks at; YOLOv5 uses the same bound."""
CHUNK = 256


class Candidates(NamedTuple):
    """Boxes that passed the score threshold, in the decoder's own order: float32 [n, 4] pixels of the
    network's input, float32 [n] scores, int64 [n] classes."""

    boxes: Array
    scores: Array
    classes: Array


class Geometry(NamedTuple):
    """How source pixels became network pixels: x_net = x_source · scale_x + left (y likewise).
    `width` and `height` are the source image's."""

    width: int
    height: int
    scale_x: float = 1.0
    scale_y: float = 1.0
    left: float = 0.0
    top: float = 0.0


def xyxy(xywh: Array) -> Array:
    """Centre x, centre y, width, height → corners. float32 [n, 4] both ways."""
    half = xywh[:, 2:4] * np.float32(0.5)
    return np.concatenate([xywh[:, :2] - half, xywh[:, :2] + half], axis=1)


def overlaps(a: Array, b: Array, threshold: float) -> Array:
    """bool [len(a), len(b)]: intersection over union above `threshold` (no division, so a pair of
    empty boxes does not overlap)."""
    inter = _common(a[:, 0], a[:, 2], b[:, 0], b[:, 2])
    inter *= _common(a[:, 1], a[:, 3], b[:, 1], b[:, 3])
    union = np.add.outer(areas(a), areas(b))
    union -= inter
    union *= np.float32(threshold)
    return np.asarray(inter > union)


def _common(low: Array, high: Array, other_low: Array, other_high: Array) -> Array:
    """Length of the common part of intervals, [n, m]. One axis at a time keeps the inner loops long."""
    length = np.minimum.outer(high, other_high)
    length -= np.maximum.outer(low, other_low)
    return np.asarray(np.maximum(length, 0, out=length))


def areas(boxes: Array) -> Array:
    """float32 [n]; an inside-out box has none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def nms(candidates: Candidates, iou: float, limit: int, class_wise: bool = True) -> Array:
    """Indices of the boxes kept, best first: greedy suppression, among boxes of a class or of all.

    Equal scores are taken in the decoder's order. Works in chunks of falling score and stops at
    `limit` boxes, so that the thousands of faint candidates behind them are never compared.
    """
    boxes, scores, classes = candidates
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    kept = order[:0]
    for start in range(0, len(order), CHUNK):
        part = order[start : start + CHUNK]
        if len(kept):
            part = part[~_suppresses(boxes, classes, kept, part, iou, class_wise).any(axis=0)]
        part = part[_survivors(_suppresses(boxes, classes, part, part, iou, class_wise))]
        kept = np.concatenate([kept, part]) if len(kept) else part
        if len(kept) >= limit:
            return kept[:limit]
    return kept


def _suppresses(boxes: Array, classes: Array, first: Array, second: Array, iou: float, class_wise: bool) -> Array:
    over = overlaps(boxes[first], boxes[second], iou)
    if class_wise:
        over &= classes[first][:, None] == classes[second][None, :]
    return over


def _survivors(over: Array) -> Array:
    """bool [n]: greedy from the first on. over[i, j]: i, if it lives, suppresses j."""
    alive = np.ones(len(over), dtype=bool)
    over = np.triu(over, 1)
    for i in np.flatnonzero(over.any(axis=1)):
        if alive[i]:
            alive &= ~over[i]
    return alive


def to_source(boxes: Array, geometry: Geometry) -> Array:
    """Network pixels → source pixels, clipped to the image. float32 [n, 4]."""
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2, dtype=np.float32)
    shift = np.array([geometry.left, geometry.top] * 2, dtype=np.float32)
    edge = np.array([geometry.width, geometry.height] * 2, dtype=np.float32)
    moved = (boxes - shift) / scale
    np.maximum(moved, 0, out=moved)
    return np.asarray(np.minimum(moved, edge, out=moved))


def rows(boxes: Array, scores: Array, classes: Array) -> List[List[Any]]:
    """JSON form: [[class, score, x1, y1, x2, y2], …]. Scores to 1e-6, coordinates to 1/1000 pixel."""
    places = np.round(boxes.astype(np.float64), 3).tolist()
    marks = np.round(scores.astype(np.float64), 6).tolist()
    return [[c, s] + b for c, s, b in zip(classes.tolist(), marks, places)]


def finite(candidates: Candidates) -> Candidates:
    """Without boxes or scores that are no numbers (an overflowing half-precision network gives some)."""
    fine = np.isfinite(candidates.boxes).all(axis=1) & np.isfinite(candidates.scores)
    if fine.all():
        return candidates
    return Candidates(candidates.boxes[fine], candidates.scores[fine], candidates.classes[fine])


def centred(outer: Tuple[int, int], inner: Tuple[int, int]) -> Tuple[int, int]:
    """(left, top) that puts `inner` (width, height) in the middle of `outer`; odd pixels go right and down."""
    return (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
