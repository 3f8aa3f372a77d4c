"""Accuracy of a classifier, and agreement of two: each sample is right or wrong, so a resample is a mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.task import Dataset

METRICS = ("top1", "top5")
AGREEMENT = "agreement"


@dataclass(frozen=True)
class Accuracy:
    """A Score: `value` is the fraction of samples that are right."""

    name: str
    value: float
    others: Mapping[str, float]
    _right: NDArray[np.float64] = field(repr=False)

    def __len__(self) -> int:
        return len(self._right)

    def resample(self, indices: Sequence[int] | Any) -> float:
        return float(self._right[np.asarray(indices, dtype=np.int64)].mean())


def score(dataset: Dataset, predictions: Sequence[Any], metric: str) -> Accuracy:
    """top1 or top5 of [[class, probability], …] against the class in `truth`."""
    if metric not in METRICS:
        raise InputError(f"Classification has no metric '{metric}'.", f"Known: {', '.join(METRICS)}.")
    if not dataset.labelled:
        raise InputError(f"{dataset.name} has no labels, so {metric} cannot be had.", "Compare by agreement instead.")
    pairs = list(zip(dataset.samples, predictions, strict=True))
    right = {
        name: np.array([float(s.truth in [row[0] for row in p[:depth]]) for s, p in pairs])
        for name, depth in (("top1", 1), ("top5", 5))
    }
    values = {name: float(column.mean()) for name, column in right.items()}
    return Accuracy(metric, values[metric], {k: v for k, v in values.items() if k != metric}, right[metric])


def agreement(predictions: Sequence[Any], reference: Sequence[Any]) -> Accuracy:
    """The fraction of samples with the same best class; others: the mean change of its probability."""
    same, moved = [], []
    for own, other in zip(predictions, reference, strict=True):
        alike = bool(own) and bool(other) and own[0][0] == other[0][0]
        same.append(float(alike))
        moved.append(abs(own[0][1] - other[0][1]) if alike else 1.0)
    right = np.array(same)
    return Accuracy(AGREEMENT, float(right.mean()), {"probability_change": float(np.mean(moved))}, right)
