from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewright.core.errors import InputError
from edgewright.sources.parity import TOLERANCE, check_parity, differs, unchecked

ONE = np.array([1.0, 2.0, 1000.0], np.float32)


def test_equal_outputs_have_no_difference() -> None:
    parity = check_parity([ONE], [ONE.copy()], "torch")
    assert (parity.max_abs, parity.checked, parity.against) == (0.0, True, "torch")
    assert parity.cosine == pytest.approx(1.0)


def test_the_tolerance_grows_with_the_value() -> None:
    assert check_parity([ONE * (1 + TOLERANCE / 2)], [ONE], "torch").max_abs == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(InputError):
        check_parity([ONE + np.array([0.01, 0, 0], np.float32)], [ONE], "torch")


def test_a_refusal_names_the_first_different_node() -> None:
    with pytest.raises(InputError, match="'/conv'"):
        check_parity([ONE + 1], [ONE], "torch", lambda: "/conv")


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        check_parity([ONE[:2]], [ONE], "torch")


def test_what_is_not_finite_must_be_so_in_both() -> None:
    holed = np.array([np.nan, np.inf], np.float32)
    assert not differs(holed, holed.copy())
    assert differs(np.zeros(2, np.float32), holed)
    assert differs(holed, np.zeros(2, np.float32))


def test_an_unmade_check_says_why() -> None:
    assert unchecked("torch is absent").note == "not checked: torch is absent"


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(width=32)))
def test_nothing_differs_from_itself(array: np.ndarray) -> None:
    assert not differs(array, array.copy())
