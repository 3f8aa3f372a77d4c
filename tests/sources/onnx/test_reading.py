from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from edgewright.core.errors import InputError
from edgewright.sources.onnx.reading import read_graph

X = {"x": ("FLOAT", [1, 2000])}
Y = {"y": ("FLOAT", [1, 2000])}


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as refusal:
        read_graph(path)
    assert refusal.value.remedy
    return refusal.value


@pytest.mark.parametrize(("domain", "name"), [("", "Frobnicate"), ("acme.ai", "MagicConv"), ("", "Gelu")])
def test_an_unknown_operator_is_named(write_onnx: Any, domain: str, name: str) -> None:
    node = helper.make_node(name, ["x"], ["y"], name="here", domain=domain)
    error = refused(write_onnx([node], X, Y, domains=(domain,) if domain else ()))  # Gelu came with opset 20
    assert name in error.message
    assert "here" in error.message


def test_an_unknown_operator_inside_a_branch_is_named(write_onnx: Any) -> None:
    value = helper.make_tensor_value_info("y", 1, [1, 2000])
    branch = helper.make_graph([helper.make_node("Frobnicate", ["x"], ["y"])], "b", [], [value])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    assert "Frobnicate" in refused(write_onnx([node], {"c": ("BOOL", []), **X}, Y)).message


def test_operators_of_onnx_runtime_are_let_through(write_onnx: Any) -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    assert read_graph(write_onnx([node], X, Y, domains=("com.microsoft",)))


def test_a_graph_that_uses_what_nobody_made_is_refused(write_onnx: Any) -> None:
    refused(write_onnx([helper.make_node("Relu", ["nowhere"], ["y"])], X, Y))


def external(write_onnx: Any, **entry: str) -> Path:
    """A graph whose weight lies in another file, with its table entry changed."""
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    path: Path = write_onnx(nodes, X, Y, {"w": np.arange(2000, dtype=np.float32)})
    model = onnx.load(str(path))
    onnx.save_model(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(str(path), load_external_data=False)
    table = {item.key: item for item in model.graph.initializer[0].external_data}
    for key, value in entry.items():
        table[key].value = value
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_graph_are_read(write_onnx: Any) -> None:
    proto = read_graph(external(write_onnx))
    assert onnx.numpy_helper.to_array(proto.graph.initializer[0])[1999] == 1999


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin", ""])
def test_weights_outside_the_folder_are_refused(write_onnx: Any, location: str) -> None:
    assert "outside" in refused(external(write_onnx, location=location)).message


def test_a_link_out_of_the_folder_is_refused(write_onnx: Any, tmp_path: Path) -> None:
    path = external(write_onnx)
    inside = tmp_path / "inside"
    inside.mkdir()
    path = path.rename(inside / path.name)
    (inside / "w.bin").symlink_to(tmp_path / "w.bin")
    assert "outside" in refused(path).message


@pytest.mark.parametrize(
    "entry", [{"length": "99999999"}, {"offset": "4096"}, {"offset": "-1"}, {"length": "x"}, {"location": "no"}]
)
def test_a_table_of_weights_that_lies_is_refused(write_onnx: Any, entry: dict[str, str]) -> None:
    refused(external(write_onnx, **entry))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    refused(tmp_path / "m.onnx")


def test_any_cut_or_change_is_read_or_refused(write_onnx: Any, tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    data = write_onnx(nodes, X, Y, {"w": np.ones(4, np.float32)}).read_bytes()
    chance, path = random.Random(2), tmp_path / "changed.onnx"
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(chance.randint(0, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(changed[: chance.randint(0, len(changed))] if chance.random() < 0.4 else changed)
        try:
            read_graph(path)
        except InputError as refusal:
            assert refusal.remedy
