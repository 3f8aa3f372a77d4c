"""mAP of a detector: the value by faster-coco-eval, resamples by our own accumulation of the same rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.task import Dataset
from edgewright.tasks.detection.average_precision import AveragePrecision
from edgewright.tasks.detection.matching import MAX_DETECTIONS, THRESHOLDS, match, table

METRICS = ("map50_95", "map50")


@dataclass(frozen=True)
class DetectionScore:
    """`name` is map50_95 or map50, `value` a fraction of 1; `others` holds the other one."""

    name: str
    value: float
    others: Mapping[str, float]
    _average: AveragePrecision = field(repr=False)

    def __len__(self) -> int:
        return self._average.images

    def resample(self, indices: Sequence[int] | Any) -> float:
        """mAP on images[indices]; an image drawn twice counts twice."""
        return _metrics(self._average.value(np.asarray(indices, dtype=np.int64)))[self.name]


def score(dataset: Dataset, predictions: Sequence[Any], metric: str) -> DetectionScore:
    """Predictions (metric thresholds) against the truth of `dataset.samples`, in the same order."""
    if metric not in METRICS:
        raise InputError(f"Detection has no metric '{metric}'.", f"Known: {', '.join(METRICS)}.")
    if not dataset.labelled:
        raise InputError(f"{dataset.name} has no labels, so {metric} cannot be had.", "Compare by agreement instead.")
    if len(predictions) != len(dataset.samples):
        raise ValueError(f"{len(predictions)} predictions for {len(dataset.samples)} samples")
    truths = [sample.truth or [] for sample in dataset.samples]
    values = _metrics(coco_average_precision(truths, predictions))
    average = AveragePrecision(match(truths, predictions))
    others = {name: value for name, value in values.items() if name != metric}
    return DetectionScore(metric, values[metric], others, average)


def _metrics(by_threshold: NDArray[np.float64]) -> dict[str, float]:
    return {"map50_95": float(by_threshold.mean()), "map50": float(by_threshold[0])}


def coco_average_precision(truths: Sequence[Any], predictions: Sequence[Any]) -> NDArray[np.float64]:
    """float64 [10]: mAP at IoU 0.50, 0.55, … 0.95 by faster-coco-eval (area "all", 100 detections per
    image and class). 0 where there is no truth at all, or nothing is detected."""
    from faster_coco_eval import COCO
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    wanted = _annotations([table(rows, 6) for rows in truths], box=1, crowd=5)
    found = _annotations([table(rows, 6) for rows in predictions], box=2, score=1)
    if not wanted or not found:
        return np.zeros(len(THRESHOLDS))
    classes = sorted({entry["category_id"] for entry in wanted} | {entry["category_id"] for entry in found})
    truth = COCO(
        {
            "images": [{"id": i + 1} for i in range(len(truths))],
            "categories": [{"id": kind, "name": str(kind)} for kind in classes],
            "annotations": wanted,
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=lambda *_: None)
    evaluation.params.areaRng = [[0, 1e10]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.params.maxDets = [MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"]).reshape(len(THRESHOLDS), -1)  # −1: a class without truth
    means = [row[row > -1].mean() if (row > -1).any() else 0.0 for row in precision]
    return np.asarray(means, dtype=np.float64)


def _annotations(
    tables: Sequence[NDArray[np.float64]], *, box: int, score: int | None = None, crowd: int | None = None
) -> list[dict[str, Any]]:
    """COCO's dictionaries; a class k is category k + 1, since some readers take 0 for "none"."""
    entries: list[dict[str, Any]] = []
    for image, rows in enumerate(tables, start=1):
        for row in rows.tolist():
            x1, y1, x2, y2 = row[box : box + 4]
            entry = {"image_id": image, "category_id": int(row[0]) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            entry |= {"id": len(entries) + 1, "area": (x2 - x1) * (y2 - y1)}
            entry |= {"score": row[score]} if score is not None else {"iscrowd": int(row[crowd or 5])}
            entries.append(entry)
    return entries
