"""The statistics that verdicts rest on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.verdict import Estimate
from edgewright.pipeline import statistics


class Mean:
    """A score that is the mean of per-sample values."""

    name = "mean"
    others: ClassVar[dict[str, float]] = {}

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, dtype=float)

    @property
    def value(self) -> float:
        return float(self.values.mean())

    def __len__(self) -> int:
        return len(self.values)

    def resample(self, indices: np.ndarray) -> float:
        return float(self.values[indices].mean())


def test_paired_interval_is_narrower_than_the_metrics_own() -> None:
    generator = np.random.default_rng(1)
    base = generator.random(500)
    own, drop = statistics.paired_drop(Mean(base), Mean(base - 0.01 + 0.001 * generator.standard_normal(500)))
    assert drop.low < 1.0 < drop.high or abs(drop.value - 1.0) < 0.05
    assert drop.high - drop.low < 100 * (own.high - own.low) / 5


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(120):
        difference = 0.02 + 0.1 * generator.standard_normal(200)
        _, drop = statistics.paired_drop(Mean(difference), Mean(np.zeros(200)), resamples=200, seed=trial)
        covered += drop.low <= 2.0 <= drop.high
    assert covered / 120 > 0.88


def test_needed_samples_would_decide_when_the_estimate_stays() -> None:
    needed = statistics.needed_samples(Estimate(0.3, -1.0, 1.6, 128), 0.5)
    assert needed is not None
    assert needed == pytest.approx(128 * (1.3 / 0.2) ** 2, rel=0.01)
    half = 1.3 * np.sqrt(128 / needed)
    assert 0.3 + half <= 0.5 + 1e-6


def test_no_number_of_samples_decides_an_estimate_on_the_limit() -> None:
    assert statistics.needed_samples(Estimate(0.5, 0.0, 1.0, 100), 0.5) is None


@given(st.integers(1, 50_000))
def test_looks_grow_and_end_with_all_samples(n: int) -> None:
    planned = statistics.looks(n)
    assert planned[-1] == n
    assert list(planned) == sorted(set(planned))
    assert 0.95 <= statistics.level_per_look(len(planned)) < 1


@settings(max_examples=30)
@given(st.floats(0.2, 5.0), st.integers(3, 12))
def test_ratio_of_the_same_rounds_is_exact_when_drift_hits_both(ratio: float, rounds: int) -> None:
    drift = np.linspace(1, 3, rounds)
    found = statistics.paired_ratio(10 * drift * ratio, 10 * drift)
    assert found.value == pytest.approx(ratio)
    assert found.low == pytest.approx(ratio)
    assert found.high == pytest.approx(ratio)


def test_repeated_looks_are_paid_for() -> None:
    """With the level per look, a null effect is called within 5 % over all looks together."""
    generator = np.random.default_rng(3)
    false_calls = 0
    trials = 60
    for trial in range(trials):
        difference = 0.005 + 0.2 * generator.standard_normal(1200)
        planned = statistics.looks(1200)
        for count in planned:
            level = statistics.level_per_look(len(planned))
            base, own = Mean(difference[:count]), Mean(np.zeros(count))
            _, drop = statistics.paired_drop(base, own, level=level, resamples=300, seed=trial)
            if drop.high <= 0.5 or drop.low > 0.5:
                false_calls += 1
                break
    assert false_calls / trials <= 0.12
