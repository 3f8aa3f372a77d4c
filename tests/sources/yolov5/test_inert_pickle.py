from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.sources.yolov5.inert_pickle import Thing, read_pickle


def read(data: bytes) -> Any:
    return read_pickle(data, lambda identity: identity)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=300),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(value=PLAIN, protocol=st.integers(2, 5))
def test_plain_data_comes_back_as_it_was(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    if protocol > 2 or (b"_codecs" not in data and b"__builtin__" not in data):  # bytes are a call in protocol 2
        assert read(data) == value


def test_ordered_dictionaries_and_sets_become_plain_ones() -> None:
    assert read(pickle.dumps(OrderedDict(a=1, b={3}), 2)) == {"a": 1, "b": [3]}


class _Runs:
    """On unpickling, calls `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("echo planted > {marker}",), f"{os.system.__module__}.system"),
        (eval, ("open('{marker}', 'w')",), "builtins.eval"),
        (subprocess.Popen, (["touch", "{marker}"],), "subprocess.Popen"),
        (getattr, (os, "x"), "builtins.getattr"),
        (__import__, ("os",), "builtins.__import__"),
        (Path.touch, (Path("{marker}"),), "Path.touch"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_name_that_would_run_code_is_refused_and_nothing_runs(
    tmp_path: Path, function: Any, arguments: tuple[Any, ...], name: str, protocol: int
) -> None:
    marker = tmp_path / "planted"
    filled = tuple(a.format(marker=marker) if isinstance(a, str) else a for a in arguments if a is not os)
    data = pickle.dumps({"model": _Runs(function, *filled)}, protocol)
    with pytest.raises((UnsafeModelError, InputError)) as refusal:
        read(data)
    if protocol >= 2 and "Path" not in name:
        assert isinstance(refusal.value, UnsafeModelError)
        assert name.rpartition(".")[2] in refusal.value.message  # protocol 2 writes Python 2's name of the module
    assert not marker.exists()


def test_the_old_instance_instruction_is_refused_and_named() -> None:
    with pytest.raises(UnsafeModelError, match=r"os\.system"):
        read(b"(S'echo'\nios\nsystem\n.".replace(b"S'echo'\n", b"X\x04\x00\x00\x00echo"))


def test_a_known_prefix_does_not_let_attributes_of_modules_through() -> None:
    stack_global = b"\x80\x04\x8c\x0btorch.nn.mo\x8c\x06system\x93."
    with pytest.raises(UnsafeModelError):
        read(stack_global)


def test_layers_become_records_and_import_nothing() -> None:
    data = b"\x80\x02cmodels.yolo\nModel\n)\x81}X\x01\x00\x00\x00aK\x01sb."
    found = read(data)
    assert isinstance(found, Thing)
    assert (found.of, found.state) == ("models.yolo.Model", {"a": 1})
    assert "models" not in sys.modules


def test_another_family_is_told_apart_from_malice() -> None:
    with pytest.raises(InputError, match="another family") as refusal:
        read(b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n)\x81.")
    assert not isinstance(refusal.value, UnsafeModelError)
    assert "ONNX" in refusal.value.remedy


def test_nested_tuples_as_keys_cannot_take_time_without_end() -> None:
    bomb = b"\x80\x02)" + b"q\x00h\x00\x86" * 60 + b"q\x01}h\x01K\x01s."
    with pytest.raises(InputError):
        read(bomb)


def test_one_list_copied_over_and_over_cannot_fill_the_memory() -> None:
    long = b"\x80\x02ctorch\nSize\nq\x00](" + b"K\x01" * 20_000 + b"e\x85q\x01]("
    with pytest.raises(InputError):
        read(long + b"h\x00h\x01R" * 20_000 + b"e.")


def test_memo_numbers_cost_no_memory() -> None:
    assert read(b"\x80\x02Nr\xff\xff\xff\xffj\xff\xff\xff\xff.") is None


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(b"\x80\x02" + data)
    except InputError as refusal:
        assert refusal.remedy


def test_any_change_of_a_real_pickle_is_read_or_refused() -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"model": torch.nn.Linear(2, 2).state_dict(), "names": {0: "a"}, "epoch": -1}, buffer)
    import zipfile

    data = zipfile.ZipFile(buffer).read("archive/data.pkl")
    assert sum(1 for _ in pickletools.genops(data)) > 40
    chance = random.Random(0)
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            read(bytes(changed[: chance.randint(1, len(changed))] if chance.random() < 0.2 else changed))
        except InputError as refusal:
            assert refusal.remedy
