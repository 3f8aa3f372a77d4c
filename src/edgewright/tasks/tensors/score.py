"""How near one model's tensors come to another's: cosine, signal-to-noise ratio, greatest difference.

A sample's cosine is that of its worst output; the metric is the mean over samples. SNR is
10·log10(Σ reference² ÷ Σ difference²) in decibels, at most 200 (identical tensors), likewise of the
worst output. Where both give the same infinity or NaN there is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.device.tensor_files import TensorError, read

METRIC = "cosine"
MAX_SNR_DB = 200.0


@dataclass(frozen=True)
class Likeness:
    """A Score. `value` is the mean cosine; `others` snr_db (mean), max_error (greatest)."""

    name: str
    value: float
    others: Mapping[str, float]
    _cosine: NDArray[np.float64] = field(repr=False)

    def __len__(self) -> int:
        return len(self._cosine)

    def resample(self, indices: Sequence[int] | Any) -> float:
        return float(self._cosine[np.asarray(indices, dtype=np.int64)].mean())


def likeness(predictions: Sequence[Any], reference: Sequence[Any]) -> Likeness:
    """Predictions are {"file": path of a .npz with one array per output}. Raises InputError where one is gone."""
    rows = np.array([compare(_load(a), _load(b)) for a, b in zip(predictions, reference, strict=True)])
    rows = rows.reshape(-1, 3)
    cosine, snr, error = rows[:, 0], rows[:, 1], rows[:, 2]
    others = {"snr_db": float(snr.mean()), "max_error": float(error.max())}
    return Likeness(METRIC, float(cosine.mean()), others, cosine)


def compare(own: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> tuple[float, float, float]:
    """(cosine, SNR in dB, greatest difference) of the worst output. An output that is missing or of another
    shape counts as wholly wrong: (0, 0, inf)."""
    if set(own) != set(other) or any(own[name].shape != other[name].shape for name in own):
        return 0.0, 0.0, float("inf")
    found = [_compare_one(own[name], other[name]) for name in sorted(own)]
    if not found:
        return 1.0, MAX_SNR_DB, 0.0
    return min(f[0] for f in found), min(f[1] for f in found), max(f[2] for f in found)


def _compare_one(own: NDArray[Any], other: NDArray[Any]) -> tuple[float, float, float]:
    a, b = own.astype(np.float64).reshape(-1), other.astype(np.float64).reshape(-1)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(a) & np.isfinite(b)
    if not (finite | same).all():
        return 0.0, 0.0, float("inf")
    if same.all():
        return 1.0, MAX_SNR_DB, 0.0
    a, b = a[finite], b[finite]
    power, noise = float(b @ b), float((a - b) @ (a - b))
    size = float(np.sqrt(power) * np.linalg.norm(a))
    cosine = float(a @ b) / size if size else 0.0
    snr = 10 * np.log10(power / noise) if power and noise else 0.0
    return min(1.0, cosine), float(min(MAX_SNR_DB, snr)), float(np.abs(a - b).max())


def _load(prediction: Any) -> Mapping[str, NDArray[Any]]:
    if not isinstance(prediction, Mapping) or not isinstance(prediction.get("file"), str):
        raise InputError("A prediction of tensors names no file.", "Predict through the worker's `predict`.")
    path = Path(prediction["file"])
    try:
        return read(str(path))
    except TensorError as error:
        raise InputError(error.message, "Delete the stored predictions and run again.") from None
