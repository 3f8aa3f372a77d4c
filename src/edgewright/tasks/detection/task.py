"""Detection: boxes with classes in images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.model import Model
from edgewright.core.profile import Finding
from edgewright.core.task import Dataset, TaskSpec
from edgewright.tasks import image_health
from edgewright.tasks.detection.agreement import Agreement, agreement
from edgewright.tasks.detection.dataset import read_dataset
from edgewright.tasks.detection.score import METRICS, DetectionScore, score
from edgewright.tasks.detection.spec import detection_spec


class Detection:
    """Member of the tasks room. A truth is [[class, x1, y1, x2, y2(, 1 for a crowd)], …] in pixels, a
    prediction [[class, score, x1, y1, x2, y2], …], best first."""

    name = "detection"
    metrics = METRICS

    def spec(self, model: Model, options: Mapping[str, Any]) -> TaskSpec:
        return detection_spec(model, options)

    def dataset(self, where: Any, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
        return read_dataset(where, spec, folder)

    def score(self, dataset: Dataset, predictions: Sequence[Any], spec: TaskSpec, metric: str) -> DetectionScore:
        return score(dataset, predictions, metric)

    def agreement(
        self, dataset: Dataset, predictions: Sequence[Any], reference: Sequence[Any], spec: TaskSpec
    ) -> Agreement:
        """Of boxes above the serving confidence; predict with the "serve" thresholds."""
        return agreement(predictions, reference, spec.serve.get("confidence", 0.25))

    def health(self, calibration: Dataset, validation: Dataset | None, spec: TaskSpec) -> tuple[Finding, ...]:
        return image_health.findings(calibration, validation, spec.labels, _classes)


def _classes(truth: Any) -> set[int]:
    return {int(row[0]) for row in truth or ()}
