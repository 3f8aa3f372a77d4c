"""ONNX graphs small enough to be written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Write = Callable[..., Path]


@pytest.fixture
def write_onnx(tmp_path: Path) -> Write:
    """Writes a graph of `nodes` to a file: inputs and outputs are {name: (type, shape)}, weights {name: array}."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(entries: dict[str, Any]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)
            for name, (kind, shape) in entries.items()
        ]

    def write(
        nodes: list[Any],
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        weights: dict[str, np.ndarray] | None = None,
        *,
        opset: int = 17,
        domains: tuple[str, ...] = (),
        metadata: dict[str, str] | None = None,
        name: str = "m.onnx",
    ) -> Path:
        tensors = [numpy_helper.from_array(array, key) for key, array in (weights or {}).items()]
        graph = helper.make_graph(nodes, "g", info(inputs), info(outputs), tensors)
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        model = helper.make_model(graph, opset_imports=imports)
        model.ir_version = 8
        helper.set_model_props(model, metadata or {})
        onnx.save(model, str(tmp_path / name))
        return tmp_path / name

    return write


@pytest.fixture
def write_answering(write_onnx: Write) -> Write:
    """A network that looks at an image and answers `value` (a constant), whatever it sees."""
    from onnx import helper

    def write(
        value: np.ndarray, image: Any = (1, 3, 64, 64), extra: dict[str, np.ndarray] | None = None, **more: Any
    ) -> Path:
        answers = {"output": value.astype(np.float32), **(extra or {})}
        nodes = [
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
            *(helper.make_node("Add", [f"{name}.value", "zero"], [name]) for name in answers),
        ]
        weights = {
            "nothing": np.array(0, np.float32),
            **{f"{k}.value": v.astype(np.float32) for k, v in answers.items()},
        }
        outputs = {name: ("FLOAT", [None] * array.ndim) for name, array in answers.items()}
        return write_onnx(nodes, {"images": ("FLOAT", list(image))}, outputs, weights, **more)

    return write
