"""Inputs made up for a model where the user has none: deterministic, plausible, and marked as generated.

By name and type: masks are ones, token types zeros, positions count up; other integers are drawn below
the size of the embedding table they index (read from the graph's Gather); four-axis floats of one or
three channels are images from 0 to 1, other floats standard normal, bytes 0 to 255, booleans true.

Open dimensions: the first is 1; of an integer input the next is a sequence of 128; of an image height
and width are 224; any other is 128. A symbol that several inputs share gets one size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.model import Model, TensorSpec

SEQUENCE = 128
IMAGE = 224
COUNT = 32
SPECIAL = 1000
"""Where a vocabulary is large its first entries are special tokens (BERT's are below 1,000)."""


def generate(model: Model, seed: int) -> dict[str, NDArray[Any]]:
    """One array per input of `model`, the same for the same seed."""
    generator = np.random.default_rng(seed)
    sizes = open_dimensions(model.inputs)
    tables = embedding_sizes(model.path)
    return {spec.name: _array(spec, sizes[spec.name], tables.get(spec.name), generator) for spec in model.inputs}


def open_dimensions(inputs: Sequence[TensorSpec]) -> dict[str, tuple[int, ...]]:
    """Each input's shape with its open dimensions filled."""
    symbols: dict[str, int] = {}
    shapes = {}
    for spec in inputs:
        shape = []
        for axis, size in enumerate(spec.shape):
            if not isinstance(size, int) or size < 1:
                filled = _default(spec, axis)
                size = symbols.setdefault(size, filled) if isinstance(size, str) and size else filled
            shape.append(size)
        shapes[spec.name] = tuple(shape)
    return shapes


def _default(spec: TensorSpec, axis: int) -> int:
    if axis == 0:
        return 1
    if len(spec.shape) == 4 and spec.dtype.startswith(("float", "uint8")):
        return IMAGE if axis >= 2 or spec.shape[-1] in (1, 3) else 3
    return SEQUENCE


def _array(spec: TensorSpec, shape: tuple[int, ...], table: int | None, generator: np.random.Generator) -> NDArray[Any]:
    dtype, name = np.dtype(spec.dtype), spec.name.lower()
    if "mask" in name or dtype.kind == "b":
        return np.ones(shape, dtype)
    if dtype.kind in "iu":
        if "token_type" in name or "segment" in name:
            return np.zeros(shape, dtype)
        if "position" in name:
            return np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype) if shape else np.zeros(shape, dtype)
        if dtype.itemsize == 1:
            low, high = (0, 256) if dtype.kind == "u" else (-128, 128)
        else:
            high = table or 2  # an index into something unknown: the first two entries are there
            low = SPECIAL if high > 10 * SPECIAL else 0
        return generator.integers(low, high, shape).astype(dtype)
    if len(shape) == 4 and (shape[1] in (1, 3) or shape[3] in (1, 3)):
        return generator.random(shape).astype(dtype)
    return np.asarray(generator.standard_normal(shape)).astype(dtype)


def embedding_sizes(path: Path) -> Mapping[str, int]:
    """Input name → rows of the table that it indexes, through casts and reshapes, by the ONNX graph."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    rows = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    origin = {value.name: value.name for value in graph.input}
    found: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in ("Cast", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten"):
            if node.input and node.input[0] in origin:
                origin[node.output[0]] = origin[node.input[0]]
        elif node.op_type == "Gather" and node.input[0] in rows and node.input[1] in origin:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            size = int(rows[node.input[0]][axis])
            name = origin[node.input[1]]
            found[name] = min(size, found.get(name, size))
    return found
