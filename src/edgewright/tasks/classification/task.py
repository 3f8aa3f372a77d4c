"""Classification: one class per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.model import Model
from edgewright.core.profile import Finding
from edgewright.core.task import Dataset, TaskSpec
from edgewright.tasks import image_health
from edgewright.tasks.classification.dataset import read_dataset
from edgewright.tasks.classification.score import METRICS, Accuracy, agreement, score
from edgewright.tasks.classification.spec import classification_spec


class Classification:
    """Member of the tasks room. A truth is a class number, a prediction [[class, probability], …], best first."""

    name = "classification"
    metrics = METRICS

    def spec(self, model: Model, options: Mapping[str, Any]) -> TaskSpec:
        return classification_spec(model, options)

    def dataset(self, where: Any, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
        return read_dataset(where, spec, folder)

    def score(self, dataset: Dataset, predictions: Sequence[Any], spec: TaskSpec, metric: str) -> Accuracy:
        return score(dataset, predictions, metric)

    def agreement(
        self, dataset: Dataset, predictions: Sequence[Any], reference: Sequence[Any], spec: TaskSpec
    ) -> Accuracy:
        return agreement(predictions, reference)

    def health(self, calibration: Dataset, validation: Dataset | None, spec: TaskSpec) -> tuple[Finding, ...]:
        return image_health.findings(calibration, validation, spec.labels, _classes)


def _classes(truth: Any) -> set[int]:
    return set() if truth is None else {int(truth)}
