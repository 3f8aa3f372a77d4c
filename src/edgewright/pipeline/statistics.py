"""Statistics before verdicts: paired bootstrap, looks corrected for repetition, intervals of latency.

Bootstrap intervals are percentile intervals (Efron & Tibshirani 1993, ch. 13) over samples for a metric
and over rounds for a latency (a round is the independent unit: calls within a round are not). Repeated
looks are paid for by Bonferroni: with K planned looks each interval has level 1 − 0.05/K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgewright.core.task import Score
from edgewright.core.verdict import Estimate

LEVEL = 0.95
RESAMPLES = 400
FIRST_LOOK = 500


def looks(n: int) -> tuple[int, ...]:
    """Sample counts at which a gate may stop: the first 500, then doubling, then all n."""
    planned = []
    size = FIRST_LOOK
    while size * 1.5 < n:
        planned.append(size)
        size *= 2
    return (*planned, n)


def level_per_look(planned: int) -> float:
    return 1 - (1 - LEVEL) / planned


def paired_drop(
    base: Score, candidate: Score, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """The candidate's metric, and base − candidate in points of 100, both by the same resamples.

    Pairing matters: both models err on the same images, so the difference has a far narrower
    interval than either metric. At least one float of slack is kept out of a zero-width interval
    only where the two really agree on every resample.
    """
    n = len(base)
    if n != len(candidate):
        raise ValueError("paired scores need the same samples")
    generator = np.random.default_rng(seed)
    own = np.empty(resamples)
    drop = np.empty(resamples)
    for i in range(resamples):
        indices = generator.integers(0, n, n)
        own[i] = candidate.resample(indices)
        drop[i] = 100 * (base.resample(indices) - own[i])
    return (
        _estimate(candidate.value, own, level, n),
        _estimate(100 * (base.value - candidate.value), drop, level, n),
    )


def metric_interval(score: Score, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """A metric with its own bootstrap interval."""
    generator = np.random.default_rng(seed)
    n = len(score)
    values = np.array([score.resample(generator.integers(0, n, n)) for _ in range(resamples)])
    return _estimate(score.value, values, LEVEL, n)


def over_rounds(
    rounds: Sequence[Any], statistic: Callable[[Any], float], *, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """A statistic of the pooled observations of all rounds; the interval resamples whole rounds.

    `rounds` holds one array of observations per round; `statistic` maps a pooled array to a number.
    """
    arrays = [np.asarray(r, dtype=float) for r in rounds]
    generator = np.random.default_rng(seed)
    count = len(arrays)
    draws = np.array(
        [
            statistic(np.concatenate([arrays[i] for i in generator.integers(0, count, count)]))
            for _ in range(resamples if count > 1 else 1)
        ]
    )
    return _estimate(statistic(np.concatenate(arrays)), draws, LEVEL, count)


def paired_ratio(base: Sequence[float], own: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Median over rounds of base ÷ own (both measured in the same round), with its interval."""
    ratios = np.asarray(base, dtype=float) / np.asarray(own, dtype=float)
    generator = np.random.default_rng(seed)
    n = len(ratios)
    draws = np.median(ratios[generator.integers(0, n, (resamples, n))], axis=1)
    return _estimate(float(np.median(ratios)), draws, LEVEL, n)


def needed_samples(drop: Estimate, limit: float) -> int | None:
    """How many samples would decide `drop` against `limit` if the point estimate stays: the interval's
    half-width shrinks with √n, so n' = n·(half-width ÷ distance)². None where no number would do."""
    distance = abs(limit - drop.value)
    half = (drop.high - drop.low) / 2
    if distance < 1e-9 or half <= 0:
        return None
    return max(drop.n + 1, math.ceil(drop.n * (half / distance) ** 2))


def _estimate(value: float, draws: Any, level: float, n: int) -> Estimate:
    finite = draws[np.isfinite(draws)]
    if finite.size == 0:
        return Estimate(value, math.nan, math.nan, n)
    low, high = np.quantile(finite, [(1 - level) / 2, 1 - (1 - level) / 2])
    return Estimate(float(value), float(min(low, value)), float(max(high, value)), n)
