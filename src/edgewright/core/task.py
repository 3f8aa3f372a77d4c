"""What is measured: the task's data (TaskSpec), its samples, and scores that can be resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.model import Step
from edgewright.core.record import Record


@dataclass(frozen=True)
class TaskSpec(Record):
    """Everything the device needs to know of the task, as data; it is shipped in `service.json`.

    Pre-processing starts from decoded pixels (uint8 H×W×3 RGB) or from tensors; post-processing
    starts from the engine's outputs by role. `serve` and `metric` are the two sets of thresholds
    (for a detector: confidence, iou, max_detections): what users see, and what mAP needs.
    """

    kind: str
    preprocess: tuple[Step, ...] = ()
    postprocess: tuple[Step, ...] = ()
    labels: tuple[str, ...] = ()
    serve: Mapping[str, float] = field(default_factory=dict)
    metric: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample(Record):
    """One example: a file (image, or `.npz` with one array per input) and its truth in the task's
    own JSON form (None where unlabelled). A detector's truth: [[class, x1, y1, x2, y2], …] pixels."""

    id: str
    path: Path
    truth: Any = None


@dataclass(frozen=True)
class Dataset(Record):
    """Samples in a fixed order. `digest` covers file contents and labels."""

    name: str
    samples: tuple[Sample, ...]
    labelled: bool
    digest: str
    notes: tuple[str, ...] = ()


class Score(Protocol):
    """A metric over n samples that can be recomputed on a resampled set."""

    name: str
    value: float
    """Fraction of 1 (mAP, accuracy, agreement) or a cosine; larger is better."""
    others: Mapping[str, float]
    """Secondary metrics by name, e.g. {"map50": 0.49}."""

    def __len__(self) -> int: ...

    def resample(self, indices: Sequence[int] | Any) -> float:
        """The metric on samples[indices]; an index may repeat (bootstrap)."""
        ...
