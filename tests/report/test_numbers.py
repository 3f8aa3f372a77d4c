"""Numbers as a reader wants them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.verdict import Estimate
from edgewright.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1234567.0, "1,234,567"), (99.96, "100"), (9.996, "10.0"), (0.01234, "0.0123"), (-1.5, "−1.50"),
        (math.nan, "–"), (None, "–"), (math.inf, "–"),
    ],
)  # fmt: skip
def test_figure_keeps_three_figures(value: float | None, text: str) -> None:
    assert numbers.figure(value) == text


@given(st.floats(min_value=1e-4, max_value=1e12))
def test_figure_is_within_half_a_percent_and_has_no_exponent(value: float) -> None:
    text = numbers.figure(value)
    assert "e" not in text
    assert math.isclose(float(text.replace(",", "")), value, rel_tol=5.1e-3)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "–"), (512, "512 B"), (7_340_032, "7.00 MiB"), (3 << 30, "3.00 GiB"), (math.nan, "–")]
)
def test_bytes_use_binary_units(count: float, text: str) -> None:
    assert numbers.byte_size(count) == text


def test_times_choose_their_unit() -> None:
    assert numbers.microseconds(940.4) == "940 µs"
    assert numbers.microseconds(1630) == "1.63 ms"
    assert numbers.seconds(218.4) == "3 min 38 s"


def test_efficiency_over_one_is_not_shown_as_a_figure() -> None:
    assert numbers.of_roofline(5.6) == "> 100 %"
    assert numbers.of_roofline(0.42) == "42 %"
    assert numbers.of_roofline(math.nan) == "–"


def test_small_negative_rounds_to_zero_without_sign() -> None:
    assert numbers.signed(-0.001) == "0.00"
    assert numbers.signed(-1.3) == "−1.30"


def test_interval_without_bounds_says_nothing() -> None:
    assert numbers.interval(Estimate(1, math.nan, math.nan)) == ""
    assert numbers.interval(Estimate(0.2, -0.1, 0.66), decimals=2) == "−0.10 … 0.66"
