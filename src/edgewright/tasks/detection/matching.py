"""Detections matched to truth, image by image, by the rules of the COCO evaluation.

Rules (cocodataset/cocoapi, `evaluateImg`, area "all"): within an image and a class, detections in
order of falling score, at most 100, each take the free truth of highest overlap at or above the
threshold; a crowd region may be taken by many, only where no single object is left, and such
detections count neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Matches:
    """All detections of a set of images, and what they hit. D detections, G truths, T = 10 thresholds.

    image, classes: int64 [D]; scores: float64 [D]; hit, ignored: bool [T, D] (taken a truth; taken a
    crowd). truth_image, truth_class: int64 [G], crowds left out.
    """

    images: int
    image: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truth_image: NDArray[np.int64]
    truth_class: NDArray[np.int64]


def match(truths: Sequence[Any], predictions: Sequence[Any]) -> Matches:
    """`truths`: per image [[class, x1, y1, x2, y2(, crowd)], …]; `predictions`: [[class, score, x1, …], …]."""
    parts = [_match_image(table(t, 6), table(p, 6)) for t, p in zip(truths, predictions, strict=True)]
    counts = [len(part[0]) for part in parts]
    found = np.concatenate([part[0] for part in parts])
    wanted = [part[3] for part in parts]
    return Matches(
        images=len(parts),
        image=np.repeat(np.arange(len(parts)), counts),
        classes=found[:, 0].astype(np.int64),
        scores=found[:, 1],
        hit=np.concatenate([part[1] for part in parts], axis=1),
        ignored=np.concatenate([part[2] for part in parts], axis=1),
        truth_image=np.repeat(np.arange(len(parts)), [len(w) for w in wanted]),
        truth_class=np.concatenate(wanted).astype(np.int64),
    )


def table(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    """Rows as float64 [n, width]; missing last columns (a crowd's mark) are 0."""
    return np.array([[*row, *(0.0,) * (width - len(row))] for row in rows], dtype=np.float64).reshape(-1, width)


def _match_image(
    truth: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    """(detections kept, hit [T, n], ignored [T, n], classes of the truths that are no crowds)."""
    found = _strongest(found[np.argsort(-found[:, 1], kind="stable")])
    crowd = truth[:, 5] > 0
    hit = np.zeros((len(THRESHOLDS), len(found)), dtype=bool)
    ignored = np.zeros_like(hit)
    wanted = truth[~crowd, 0]
    if not len(truth) or not len(found):
        return found, hit, ignored, wanted
    overlap = _overlap(found[:, 2:6], truth[:, 1:5], crowd)
    overlap[found[:, 0][:, None] != truth[:, 0][None, :]] = 0
    rows = np.arange(len(THRESHOLDS))
    limit = np.minimum(THRESHOLDS, 1 - 1e-10)
    free = np.ones((len(THRESHOLDS), len(truth)), dtype=bool)
    for k in np.flatnonzero(overlap.max(axis=1) >= limit[0]):  # nearly all detections touch nothing
        single = np.where(free & ~crowd, overlap[k], 0)
        best = len(truth) - 1 - single[:, ::-1].argmax(axis=1)  # of equal overlaps COCO takes the last
        taken = single[rows, best] >= limit
        hit[:, k] = taken
        free[rows[taken], best[taken]] = False
        if crowd.any():
            ignored[:, k] = ~taken & (overlap[k][crowd].max() >= limit)
    return found, hit, ignored, wanted


def _strongest(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first 100 of each class; `found` is sorted by falling score."""
    if len(found) <= MAX_DETECTIONS:
        return found
    keep = np.zeros(len(found), dtype=bool)
    for kind in np.unique(found[:, 0]):
        keep[np.flatnonzero(found[:, 0] == kind)[:MAX_DETECTIONS]] = True
    return found[keep]


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union [len(a), len(b)]; over the area of `a` alone for a crowd."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    inter = np.clip(width, 0, None) * np.clip(height, 0, None)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + np.where(crowd, 0, area_b)[None, :] - np.where(crowd, 0, inter)
    return np.asarray(inter / np.maximum(union, 1e-300))
