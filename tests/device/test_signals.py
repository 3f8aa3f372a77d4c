"""Numbers that tell drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.device import signals


def test_brightness_and_contrast_are_of_luma():
    half = np.zeros((50, 50, 3), np.uint8)
    half[:, 25:] = 255
    found = signals.of_pixels(half)
    assert found["brightness"] == pytest.approx(0.5, abs=0.01) and found["contrast"] == pytest.approx(0.5, abs=0.01)
    assert found["megapixels"] == 0.0025


def test_edges_cut_the_reference_into_equal_parts():
    values = list(np.random.default_rng(0).normal(size=1000))
    inner = signals.edges(values)
    assert len(inner) == 9
    assert all(95 <= n <= 105 for n in signals.histogram(values, inner))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
def test_every_finite_value_is_in_one_bin(values):
    inner = signals.edges(values)
    counts = signals.histogram(values, inner)
    assert len(counts) == len(inner) + 1
    assert sum(counts) == sum(1 for v in values if np.isfinite(v))


def test_the_index_is_small_for_the_same_source_and_large_for_another():
    draw = np.random.default_rng(1)
    inner = signals.edges(list(draw.normal(size=500)))
    reference = signals.histogram(list(draw.normal(size=500)), inner)
    assert signals.psi(reference, signals.histogram(list(draw.normal(size=500)), inner)) < 0.1
    assert signals.psi(reference, signals.histogram(list(draw.normal(1.5, size=500)), inner)) > 0.25
    assert signals.psi(reference, [0] * len(reference)) == 0.0
    with pytest.raises(ValueError, match="bins"):
        signals.psi([1, 2], [1, 2, 3])
