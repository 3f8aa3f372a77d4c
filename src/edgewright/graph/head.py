"""The end of a detector's graph: its last convolutions, and the decode that follows them, run by itself.

What a decode does is not guessed from its nodes, it is asked: values are fed where the last convolutions end, and the
rows that come out say which head they belong to, its stride and its anchors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgewright.graph import parity, surgery
from edgewright.graph.surgery import Array

Feeds = Mapping[str, Array]


class NotThisHead(Exception):
    """The graph does not end in this kind of head; the text says why."""


def last_convolutions(model: Any, output: str, counts: Callable[[Any], bool] = lambda node: True) -> tuple[str, ...]:
    """The tensors of the convolutions (bias added) from which `output` is reached through no further one. Nodes that
    `counts` denies are no convolutions here."""
    made, read, stored = surgery.producers(model), surgery.consumers(model), surgery.constants(model)
    found: dict[str, None] = {}
    seen: set[str] = set()
    pending = [output]
    while pending:
        name = pending.pop(0)
        node = made.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type == "Conv" and counts(node):
            found[_with_bias(name, read, stored)] = None
        else:
            pending += surgery.uses(node)
    return tuple(found)


def _with_bias(name: str, read: Mapping[str, list[Any]], stored: Mapping[str, Array]) -> str:
    readers = read.get(name, [])
    if len(readers) == 1 and readers[0].op_type == "Add":
        other = [n for n in readers[0].input if n != name]
        if len(other) == 1 and other[0] in stored and max(stored[other[0]].shape, default=1) == stored[other[0]].size:
            return str(readers[0].output[0])
    return name


def with_outputs(model: Any, names: Sequence[str]) -> Any:
    """The model with more tensors among its outputs."""
    import onnx

    more = surgery.copy(model)
    there = {value.name for value in more.graph.output}
    more.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    return more


class Tail:
    """The decode by itself: raw heads in, rows out."""

    def __init__(self, model: Any, decoded: str, values: Mapping[str, Array], feeds: Feeds) -> None:
        import onnx

        def port(name: str, array: Array | None) -> Any:
            if array is None:
                return next(value for value in model.graph.output if value.name == name)
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            return onnx.helper.make_tensor_value_info(name, kind, array.shape)

        start = [port(name, array) for name, array in values.items()]
        self.model = surgery.cut(model, start, [port(decoded, None)])
        needed = {value.name for value in surgery.inputs(self.model)}
        if not set(values) <= needed:
            raise NotThisHead("the decoded output does not depend on all of its heads")
        self.decoded = decoded
        self.others = {name: array for name, array in feeds.items() if name in needed}

    def __call__(self, values: Mapping[str, Array]) -> Array:
        rows: Array = parity.run(self.model, {**self.others, **values})[self.decoded]
        return rows


def rounded(value: float) -> float:
    """Anchors kept in cells × stride come out a rounding error away from the pixels they were written as."""
    near = round(value * 64) / 64
    return near if abs(near - value) <= 1e-5 * max(1.0, abs(value)) else value


def noise(values: Mapping[str, Array]) -> dict[str, Array]:
    """Random raw heads to compare two decodes on."""
    random = np.random.default_rng(0)
    return {name: random.normal(0, 2, head.shape).astype(head.dtype) for name, head in values.items()}
