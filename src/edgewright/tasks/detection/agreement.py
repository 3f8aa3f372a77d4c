"""How far two detectors say the same, without labels: boxes matched one to one.

agreement = 2 · matched ÷ (boxes of one + boxes of the other), over all images: the F1 measure with the
float model in the place of the truth. Boxes match when they are of one class and overlap by IoU ≥ 0.5,
paired greedily from the greatest overlap on. Two models that both see nothing agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.device.boxes import areas
from edgewright.tasks.detection.matching import table

NAME = "agreement"
IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """A Score. `others`: the boxes of either model that the other lacks, per image."""

    name: str
    value: float
    others: Mapping[str, float]
    _matched: NDArray[np.int64] = field(repr=False)
    _boxes: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self._matched)

    def resample(self, indices: Sequence[int] | Any) -> float:
        chosen = np.asarray(indices, dtype=np.int64)
        return _ratio(self._matched[chosen], self._boxes[chosen])


def agreement(predictions: Sequence[Any], reference: Sequence[Any], confidence: float) -> Agreement:
    """Both are per image [[class, score, x1, y1, x2, y2], …]; boxes below `confidence` are left out."""
    counts = np.array([_count(own, other, confidence) for own, other in zip(predictions, reference, strict=True)])
    counts = counts.reshape(-1, 3)
    matched, own, other = counts[:, 0], counts[:, 1], counts[:, 2]
    images = max(1, len(counts))
    others = {"extra_boxes": (own - matched).sum() / images, "missing_boxes": (other - matched).sum() / images}
    boxes = own + other
    return Agreement(NAME, _ratio(matched, boxes), {k: float(v) for k, v in others.items()}, matched, boxes)


def _ratio(matched: NDArray[np.int64], boxes: NDArray[np.int64]) -> float:
    total = int(boxes.sum())
    return 2 * int(matched.sum()) / total if total else 1.0


def _count(own: Sequence[Any], other: Sequence[Any], confidence: float) -> tuple[int, int, int]:
    """(matched, boxes of one, boxes of the other)."""
    a, b = table(own, 6), table(other, 6)
    a, b = a[a[:, 1] >= confidence], b[b[:, 1] >= confidence]
    if not len(a) or not len(b):
        return 0, len(a), len(b)
    overlap = _overlap(a[:, 2:], b[:, 2:])
    overlap[a[:, 0][:, None] != b[:, 0][None, :]] = 0
    matched = 0
    order = np.argsort(-overlap, axis=None, kind="stable")
    pairs = np.stack(np.unravel_index(order[: np.count_nonzero(overlap >= IOU)], overlap.shape), axis=1)
    free_a, free_b = np.ones(len(a), dtype=bool), np.ones(len(b), dtype=bool)
    for i, j in pairs:
        if free_a[i] and free_b[j]:
            free_a[i] = free_b[j] = False
            matched += 1
    return matched, len(a), len(b)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0, None)
    inter = sides[..., 0] * sides[..., 1]
    union = areas(a)[:, None] + areas(b)[None, :] - inter
    return np.asarray(inter / np.maximum(union, 1e-300))
