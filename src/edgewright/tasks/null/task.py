"""The null task: a model's one input drawn at random, judged by the mean of what comes out. For tests
of everything around a task; no model is ever measured by it in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.core.profile import Finding
from edgewright.core.record import digest_of
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.device.tensor_files import write

COUNT = 8
TOLERANCE = 0.01


@dataclass(frozen=True)
class Same:
    """A Score: the fraction of samples whose means differ by at most 0.01."""

    name: str
    value: float
    others: Mapping[str, float]
    hits: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.hits)

    def resample(self, indices: Sequence[int] | Any) -> float:
        return float(np.mean([self.hits[int(k)] for k in indices]))


class Null:
    """Member of the tasks room. A prediction is {"mean": number}; no sample has a truth."""

    name = "null"
    metrics = ("agreement",)

    def spec(self, model: Model, options: Mapping[str, Any]) -> TaskSpec:
        return TaskSpec(kind="null")

    def dataset(self, where: Any, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
        """`where.count` (8) drawn inputs, whatever `where.path` says."""
        count, seed = (where.count or COUNT, where.seed) if where is not None else (COUNT, 0)
        shape = tuple(n if isinstance(n, int) else 1 for n in model.inputs[0].shape)
        home = folder / "null" / digest_of(shape, model.inputs[0].dtype, seed)[:16]
        home.mkdir(parents=True, exist_ok=True)
        samples = []
        for k in range(count):
            path = home / f"{k:03d}.npz"
            if not path.is_file():
                values = np.random.default_rng([seed, k]).random(shape) * 2
                write(str(path), {model.inputs[0].name: values.astype(model.inputs[0].dtype)})
            samples.append(Sample(path.stem, path))
        return Dataset("null", tuple(samples), False, digest_of("null", shape, seed, count))

    def score(self, dataset: Dataset, predictions: Sequence[Any], spec: TaskSpec, metric: str) -> Same:
        raise InputError("The null task has no truth to score against.", "Compare by agreement.")

    def agreement(self, dataset: Dataset, predictions: Sequence[Any], reference: Sequence[Any], spec: TaskSpec) -> Same:
        pairs = zip(predictions, reference, strict=True)
        hits = tuple(float(abs(a["mean"] - b["mean"]) <= TOLERANCE) for a, b in pairs)
        return Same("agreement", float(np.mean(hits)), {}, hits)

    def health(self, calibration: Dataset, validation: Dataset | None, spec: TaskSpec) -> tuple[Finding, ...]:
        return ()
