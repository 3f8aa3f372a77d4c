"""Tensors out of requests: every damaged form is a TensorError, never another exception."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.device import tensors
from edgewright.device.tensors import TensorError

PORTS = [{"role": "ids", "name": "input_ids", "dtype": "int64", "shape": [1, None]}]


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(hnp.scalar_dtypes().filter(lambda d: d.kind in "biuf"), hnp.array_shapes(max_dims=4, max_side=4)))
def test_an_npy_file_gives_its_array(array: np.ndarray) -> None:
    for order in ("C", "F"):
        found = tensors.from_npy(npy(np.asarray(array, order=order)))
        np.testing.assert_array_equal(found, array)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_npy_file_is_refused_or_read_whole(data: st.DataObject) -> None:
    body = bytearray(npy(np.arange(12, dtype=np.int32).reshape(3, 4)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = tensors.from_npy(bytes(body))
    except TensorError:
        return
    assert found.nbytes <= len(body)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for read in (tensors.from_npy, tensors.from_npz, tensors.from_json):
        with pytest.raises(TensorError):
            read(b"PK\x03\x04" + data)


def test_the_single_input_needs_no_name() -> None:
    found = tensors.fit({"": np.array([[1, 2]])}, PORTS)
    assert found["ids"].dtype == np.int64 and found["ids"].tolist() == [[1, 2]]
    assert tensors.fit({"input_ids": np.array([[1, 2]], np.int8)}, PORTS)["ids"].dtype == np.int64


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": np.zeros((1, 2), np.int64), "more": np.zeros((1, 2), np.int64)},
        {"ids": np.zeros((2, 2), np.int64)},
        {"ids": np.zeros((1,), np.int64)},
        {"ids": np.zeros((1, 0), np.int64)},
        {"ids": np.full((1, 2), 0.5)},
    ],
    ids=["names", "shape", "rank", "empty", "fractions"],
)
def test_what_does_not_fit_the_model_is_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(TensorError):
        tensors.fit(arrays, PORTS)


def test_outputs_become_json_with_null_for_what_it_cannot_say() -> None:
    found = tensors.to_json({"a": np.array([[1.5, np.nan, np.inf]], np.float32), "b": np.array([1, 2], np.int64)})
    assert found["a"] == {"dtype": "float32", "shape": [1, 3], "data": [[1.5, None, None]]}
    assert found["b"]["data"] == [1, 2]
    with pytest.raises(TensorError, match="too large"):
        tensors.to_json({"a": np.zeros(tensors.JSON_VALUES + 1)})
