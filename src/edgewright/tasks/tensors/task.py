"""Tensors: any model, judged by how near its outputs stay to the float model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.core.profile import Finding
from edgewright.core.task import Dataset, TaskSpec
from edgewright.tasks.tensors.dataset import read_dataset
from edgewright.tasks.tensors.score import METRIC, Likeness, likeness

FEW = 100


class Tensors:
    """Member of the tasks room. A prediction is {"file": .npz beside the predictions, one array per output}."""

    name = "tensors"
    metrics = (METRIC,)

    def spec(self, model: Model, options: Mapping[str, Any]) -> TaskSpec:
        return TaskSpec(kind="tensors", notes=model.hints.notes)

    def dataset(self, where: Any, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
        return read_dataset(where, model, folder)

    def score(self, dataset: Dataset, predictions: Sequence[Any], spec: TaskSpec, metric: str) -> Likeness:
        """Against the outputs that each sample's truth names; the tensors task reads none of its own."""
        if metric != METRIC:
            raise InputError(f"Tensors have no metric '{metric}'.", f"Known: {METRIC}.")
        if not dataset.labelled:
            raise InputError(f"{dataset.name} has no reference outputs.", "Compare with the float model's outputs.")
        return likeness(predictions, [sample.truth for sample in dataset.samples])

    def agreement(
        self, dataset: Dataset, predictions: Sequence[Any], reference: Sequence[Any], spec: TaskSpec
    ) -> Likeness:
        return likeness(predictions, reference)

    def health(self, calibration: Dataset, validation: Dataset | None, spec: TaskSpec) -> tuple[Finding, ...]:
        """Only the count: what duplicates or coverage mean depends on what the tensors are."""
        count = len(calibration.samples)
        if count >= FEW:
            return ()
        return (
            Finding(
                rule="calibration-size",
                title=f"Only {count} calibration samples",
                detail=f"With {count} samples about one new sample in {count + 1} exceeds a range that was seen.",
                severity="warning",
                evidence=({"samples": count, "advised": FEW},),
                remedy="Add samples to `data.calibration`; they need no labels.",
            ),
        )
