from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.errors import InputError
from edgewright.core.model import TaskHints
from edgewright.sources.model_file import save_model


def graph(opset: int) -> Any:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    inner = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["n", 2])], [value("y", TensorProto.FLOAT, ["n", None])]
    )
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", opset)])


def test_the_record_describes_the_file(tmp_path: Path) -> None:
    model = save_model(graph(17), tmp_path, source="test", opset=17, hints=TaskHints())
    assert model.digest == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert (model.inputs[0].name, model.inputs[0].dtype, model.inputs[0].shape) == ("x", "float32", ("n", 2))
    assert model.outputs[0].shape == ("n", None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_an_opset_that_is_not_the_one_asked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="opset 18, but opset 17") as refusal:
        save_model(graph(18), tmp_path, source="test", opset=17, hints=TaskHints())
    assert "18" in refusal.value.remedy
    assert not list(tmp_path.iterdir())
