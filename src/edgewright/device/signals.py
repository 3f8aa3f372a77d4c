"""Numbers per sample that tell drift, their histograms, and how far two histograms are apart.

Drift is measured as the population stability index over bins that hold equal parts of the
reference: PSI = Σ (p − q) · ln(p / q). Credit scoring's rule of thumb reads below 0.1 as stable and
above 0.25 as changed (Siddiqi, "Credit Risk Scorecards", 2006).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_LOOKS = 96
"""Pixels looked at along each side: brightness need not read a whole picture."""


def of_pixels(pixels: Array) -> Dict[str, float]:
    """brightness and contrast (mean and standard deviation of luma, 0 to 1) and the megapixels of an image."""
    height, width = pixels.shape[:2]
    few = pixels[:: max(1, height // _LOOKS), :: max(1, width // _LOOKS)].astype(np.float32)
    luma = few @ np.array([0.299, 0.587, 0.114], np.float32) if few.ndim == 3 else few
    return {
        "brightness": round(float(luma.mean()) / 255, 5),
        "contrast": round(float(luma.std()) / 255, 5),
        "megapixels": round(height * width / 1e6, 5),
    }


def edges(reference: Sequence[float], bins: int = 10) -> List[float]:
    """Inner bin edges that cut the reference into equal parts; fewer where its values repeat."""
    values = np.asarray([v for v in reference if v is not None and math.isfinite(v)], dtype=np.float64)
    if not len(values):
        return []
    cuts = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return [float(cut) for cut in np.unique(cuts)]


def histogram(values: Sequence[float], inner_edges: Sequence[float]) -> List[int]:
    """Counts of values in the len(edges) + 1 bins; a value on an edge belongs to the bin below it."""
    fine = [v for v in values if v is not None and math.isfinite(v)]
    where = np.searchsorted(np.asarray(inner_edges, dtype=np.float64), fine, side="left")
    return [int(n) for n in np.bincount(where, minlength=len(inner_edges) + 1)]


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index of two histograms over the same bins; 0 where either is empty.

    Half a count is added to each bin, so that an empty one does not make it infinite.
    """
    p, q = (np.asarray(counts, dtype=np.float64) for counts in (reference, current))
    if len(p) != len(q):
        raise ValueError(f"histograms of {len(p)} and {len(q)} bins cannot be compared")
    if not p.sum() or not q.sum():
        return 0.0
    p = (p + 0.5) / (p + 0.5).sum()
    q = (q + 0.5) / (q + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())
