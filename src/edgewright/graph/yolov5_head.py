"""Where a decoded YOLOv5 export (v3-v7 anchors, 1×N×(5+nc)) really ends: its raw heads, their strides and anchors.

The raw heads are the last convolutions before the decoded output. What the decode does with them is not guessed from
its nodes, it is asked: the nodes between raw heads and decoded output are run by themselves. With zeros in,
σ(0) = 0.5 makes the decode (https://github.com/ultralytics/yolov5/issues/471)
    centre = (2σ − 0.5 + cell)·stride,  size = (2σ)²·anchor,  scores = σ
give (cell + 0.5)·stride and the anchors themselves. Then random values must decode to the same boxes as `decode` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.graph import parity, surgery
from edgewright.graph.surgery import Array

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Level:
    """One raw head: its tensor (1×na·(5+nc)×h×w), its stride in pixels, its anchors as (w, h) pixels, and its first
    row in the decoded output."""

    tensor: str
    stride: float
    anchors: tuple[tuple[float, float], ...]
    first_row: int


class NotThisHead(Exception):
    """The graph does not end in this kind of head; the text says why."""


def find(model: Any, decoded: str) -> tuple[Level, ...]:
    """The raw heads behind the output `decoded`, in the order of its rows. NotThisHead where they are not these."""
    feeds = parity.random_feeds(model)
    raws = last_convolutions(model, decoded)
    if not 1 <= len(raws) <= 8:
        raise NotThisHead(f"{len(raws)} convolutions end before '{decoded}'")
    values = parity.run(with_outputs(model, raws), feeds, [*raws, decoded])
    answer = values.pop(decoded)
    per_anchor = _check_shapes(values, answer, decoded)
    tail = _Tail(model, decoded, values, feeds)
    levels = _levels(tail, values, per_anchor)
    _verify(tail, values, levels)
    return levels


def last_convolutions(model: Any, output: str) -> tuple[str, ...]:
    """The tensors of the convolutions (bias added) from which `output` is reached through no further one."""
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
        if node.op_type == "Conv":
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


def decode(heads: Sequence[Array], levels: Sequence[Level]) -> Array:
    """Raw heads to B×N×(5+nc) rows of cx, cy, w, h in pixels, objectness and class scores in 0–1."""
    rows = []
    for head, level in zip(heads, levels, strict=True):
        batch, channels, height, width = head.shape
        count = len(level.anchors)
        head = head.astype(np.float32).reshape(batch, count, channels // count, height, width)
        score = 1 / (1 + np.exp(-head.transpose(0, 1, 3, 4, 2)))
        y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        centre = (score[..., 0:2] * 2 - 0.5 + np.stack((x, y), -1)) * level.stride
        anchors = np.array(level.anchors, dtype=np.float32).reshape(1, count, 1, 1, 2)
        size = (score[..., 2:4] * 2) ** 2 * anchors
        rows.append(np.concatenate((centre, size, score[..., 4:]), -1).reshape(batch, -1, channels // count))
    return np.concatenate(rows, 1)


class _Tail:
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


def _check_shapes(values: Mapping[str, Array], answer: Array, decoded: str) -> int:
    if answer.ndim != 3 or answer.shape[2] < 6:
        raise NotThisHead(f"'{decoded}' is {'×'.join(map(str, answer.shape))}, not 1×N×(5+classes)")
    per_anchor, total = int(answer.shape[2]), 0
    for name, head in values.items():
        if head.ndim != 4 or head.shape[1] % per_anchor:
            raise NotThisHead(f"'{name}' does not hold whole anchors of {per_anchor} channels")
        total += head[0].size // per_anchor
    if total != answer.shape[1]:
        raise NotThisHead(f"the last convolutions hold {total} boxes, '{decoded}' {answer.shape[1]}")
    return per_anchor


def _levels(tail: _Tail, values: Mapping[str, Array], per_anchor: int) -> tuple[Level, ...]:
    zeros = {name: np.zeros_like(head) for name, head in values.items()}
    rest = tail(zeros)
    levels = []
    for name, head in values.items():
        _, channels, height, width = head.shape
        count, cells = channels // per_anchor, height * width
        moved = tail({**zeros, name: np.full_like(head, 4.0)})
        changed = np.flatnonzero((moved != rest).any(axis=(0, 2)))
        if len(changed) != count * cells or changed[-1] - changed[0] + 1 != len(changed):
            raise NotThisHead(f"the rows of '{name}' are not together in the decoded output")
        rows = rest[0, changed[0] : changed[-1] + 1].reshape(count, height, width, per_anchor)
        stride = float(2 * rows[0, 0, 0, 0])
        anchors = tuple((_rounded(w), _rounded(h)) for w, h in rows[:, 0, 0, 2:4].tolist())
        levels.append(Level(name, _rounded(stride), anchors, int(changed[0])))
    return tuple(sorted(levels, key=lambda level: level.first_row))


def _rounded(value: float) -> float:
    """Anchors kept in cells × stride come out a rounding error away from the pixels they were written as."""
    near = round(value * 64) / 64
    return near if abs(near - value) <= 1e-5 * max(1.0, abs(value)) else value


def _verify(tail: _Tail, values: Mapping[str, Array], levels: tuple[Level, ...]) -> None:
    random = np.random.default_rng(0)
    noise = {name: random.normal(0, 2, head.shape).astype(head.dtype) for name, head in values.items()}
    theirs = tail(noise)
    ours = decode([noise[level.tensor] for level in levels], levels)
    if parity.difference({"rows": theirs}, {"rows": ours}) > parity.TOLERANCE:
        raise NotThisHead("the graph decodes its heads in another way than YOLOv5 does")
