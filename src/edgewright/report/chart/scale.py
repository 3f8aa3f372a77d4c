"""Axes: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps low…high to start…end, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        return self.start if span == 0 else self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within low…high; at least one where low ≤ high."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / max(1, about)
    size = 10.0 ** math.floor(math.log10(rough))
    step = min((size * m for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    first = math.ceil(low / step - 1e-9)
    found = [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return found or [low]


def padded(values: list[float], share: float = 0.08) -> tuple[float, float]:
    """The range of the values with some air around; a single value gets a range of its own."""
    low, high = min(values), max(values)
    air = (high - low) * share or abs(high) * share or 1.0
    return low - air, high + air


def decimals(step: float) -> int:
    """How many decimals a tick label needs."""
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
