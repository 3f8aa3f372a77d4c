"""Runs a small graph in plain numpy: the null target's `app/engine.py`.

Engine contract: docs/architecture.md. Operators: https://onnx.ai/onnx/operators/. Python >= 3.8, numpy only.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def open(path: str, settings: Mapping[str, Any]) -> Engine:
    """An Engine for the .npz that the null target wrote; it has no settings but `batch`, which any graph takes."""
    return Engine(path)


class Engine:
    """A list of numpy calls."""

    def __init__(self, path: str) -> None:
        with np.load(path, allow_pickle=False) as file:
            graph = json.loads(str(file["graph"]))
            self._constants = {name: file["c%d" % i] for i, name in enumerate(graph["constants"])}
        self._nodes: List[Dict[str, Any]] = graph["nodes"]
        self.inputs: List[Dict[str, Any]] = graph["inputs"]
        self.outputs: List[Dict[str, Any]] = graph["outputs"]
        self.runtime = {"numpy": np.__version__}

    def run(self, feeds: Mapping[str, Array]) -> Dict[str, Array]:
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        return self._run(feeds, [])

    def executed(self) -> Dict[str, Any]:
        return {"precisions": {"fp32": 1.0}, "ops": {"fp32": len(self._nodes)}}

    def profile(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Operators with their mean times, in core.profile's terms."""
        rows: List[Dict[str, Any]] = []
        for _ in range(max(1, iterations)):
            rows = []
            self._run(feeds, rows)
        weights = sum(value.nbytes for value in self._constants.values())
        timeline, clock = [], 0.0
        for row in rows:
            span = {"name": row["name"], "category": row["type"], "start_us": clock, "track": "compute"}
            timeline.append(dict(span, duration_us=row["duration_us"]))
            clock += row["duration_us"]
        memory = [{"time_us": 0.0, "bytes": weights, "owner": "weights"}]
        notes = ["Times are of the last iteration."]
        return {"tool": "numpy", "operators": rows, "timeline": timeline, "memory": memory, "notes": notes}

    def close(self) -> None:
        self._constants = {}

    def _run(self, feeds: Mapping[str, Array], rows: List[Dict[str, Any]]) -> Dict[str, Array]:
        values: Dict[str, Array] = dict(self._constants)
        for port in self.inputs:
            values[port["name"]] = np.asarray(feeds[port["name"]], dtype=port["dtype"])
        for node in self._nodes:
            start = time.perf_counter()
            taken = [values[name] for name in node["inputs"] if name]
            made = OPERATORS[node["type"]](*taken, **node["attributes"])
            values[node["outputs"][0]] = made
            rows.append(_row(node, taken, made, (time.perf_counter() - start) * 1e6))
        return {port["name"]: _plain(values[port["name"]]) for port in self.outputs}


def _row(node: Mapping[str, Any], taken: List[Array], made: Array, micros: float) -> Dict[str, Any]:
    shapes = {"inputs": [list(array.shape) for array in taken], "outputs": [list(made.shape)]}
    row = {"name": node["name"], "type": node["type"], "duration_us": micros, "calls": 1, "dtype": "fp32"}
    return dict(row, kernel="numpy", nodes=[node["name"]], **shapes)


def _plain(value: Array) -> Array:
    if value.dtype.kind == "f":
        value = value.astype(np.float32, copy=False)
    return np.ascontiguousarray(value)


def _conv(x: Array, weight: Array, *bias: Array, **options: Any) -> Array:
    """2-D convolution as one matrix product over windows; no groups, no automatic padding."""
    if options.get("group", 1) != 1 or options.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError("The null engine convolves without groups and automatic padding.")
    top, left, bottom, right = options.get("pads", [0, 0, 0, 0])
    down, across = options.get("strides", [1, 1])
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    high, wide = weight.shape[2:]
    windows = np.stack(
        [
            x[:, :, i : x.shape[2] - high + 1 + i : down, j : x.shape[3] - wide + 1 + j : across]
            for i in range(high)
            for j in range(wide)
        ],
        axis=2,
    )
    flat = weight.reshape(weight.shape[0], weight.shape[1], high * wide)
    made = np.einsum("bckhw,ock->bohw", windows, flat, optimize=True)
    return np.asarray(made + bias[0].reshape(1, -1, 1, 1) if bias else made)


def _gemm(a: Array, b: Array, *c: Array, **options: Any) -> Array:
    a = a.T if options.get("transA") else a
    b = b.T if options.get("transB") else b
    made = options.get("alpha", 1.0) * (a @ b)
    return np.asarray(made + options.get("beta", 1.0) * c[0] if c else made)


def _softmax(x: Array, axis: int = -1) -> Array:
    weight = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(weight / weight.sum(axis=axis, keepdims=True))


OPERATORS: Dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Conv": _conv,
    "Flatten": lambda x, axis=1: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean(axis=(2, 3), keepdims=True),
    "GlobalMaxPool": lambda x: x.max(axis=(2, 3), keepdims=True),
    "Identity": lambda x: x,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softmax": _softmax,
    "Transpose": lambda x, perm=None: np.transpose(x, perm),
}
