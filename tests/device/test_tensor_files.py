"""Arrays from files that may be hostile."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import tensor_files
from edgewright.device.tensor_files import TensorError


def test_arrays_come_back_as_they_were_written(tmp_path):
    arrays = {"ids": np.arange(6, dtype=np.int64).reshape(2, 3), "x": np.ones((1, 2), np.float16)}
    path = str(tmp_path / "a.npz")
    tensor_files.write(path, arrays)
    found = tensor_files.read(path)
    assert set(found) == {"ids", "x"} and all(np.array_equal(found[k], arrays[k]) for k in arrays)
    np.save(tmp_path / "b.npy", arrays["ids"])
    assert np.array_equal(tensor_files.read(str(tmp_path / "b.npy"))["input"], arrays["ids"])


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    np.save(tmp_path / "b.npy", np.array([print], dtype=object), allow_pickle=True)
    for name in ("a.npz", "b.npy"):
        with pytest.raises(TensorError, match="cannot be read"):
            tensor_files.read(str(tmp_path / name))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(100_000))
    with pytest.raises(TensorError, match="unpack"):
        tensor_files.read(str(tmp_path / "bomb.npz"))


@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"]))
@settings(max_examples=100, deadline=None)
def test_no_bytes_crash_the_reader(data, start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    for name in ("a.npz", "a.npy"):
        (folder / name).write_bytes(start + data)
        with pytest.raises(TensorError):
            tensor_files.read(str(folder / name))


def test_a_summary_is_json_that_says_enough_to_compare():
    told = tensor_files.summary(np.array([[1.0, np.nan, -3.0]], np.float32))
    assert told["shape"] == [1, 3] and told["values"] == [1.0, None, -3.0]
    assert (told["min"], told["max"], told["mean"]) == (-3.0, 1.0, -1.0)
    assert len(tensor_files.summary(np.zeros(10_000))["values"]) == tensor_files.SHOWN
    assert "mean" not in tensor_files.summary(np.array([np.inf]))
