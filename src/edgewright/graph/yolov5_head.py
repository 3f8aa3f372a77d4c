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

from edgewright.graph import parity
from edgewright.graph.head import NotThisHead, Tail, last_convolutions, noise, rounded, with_outputs
from edgewright.graph.surgery import Array


@dataclass(frozen=True)
class Level:
    """One raw head: its tensor (1×na·(5+nc)×h×w), its stride in pixels, its anchors as (w, h) pixels, and its first
    row in the decoded output."""

    tensor: str
    stride: float
    anchors: tuple[tuple[float, float], ...]
    first_row: int


def find(model: Any, decoded: str) -> tuple[Level, ...]:
    """The raw heads behind the output `decoded`, in the order of its rows. NotThisHead where they are not these."""
    feeds = parity.random_feeds(model)
    raws = last_convolutions(model, decoded)
    if not 1 <= len(raws) <= 8:
        raise NotThisHead(f"{len(raws)} convolutions end before '{decoded}'")
    values = parity.run(with_outputs(model, raws), feeds, [*raws, decoded])
    answer = values.pop(decoded)
    per_anchor = _check_shapes(values, answer, decoded)
    tail = Tail(model, decoded, values, feeds)
    levels = _levels(tail, values, per_anchor)
    _verify(tail, values, levels)
    return levels


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


def _levels(tail: Tail, values: Mapping[str, Array], per_anchor: int) -> tuple[Level, ...]:
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
        anchors = tuple((rounded(w), rounded(h)) for w, h in rows[:, 0, 0, 2:4].tolist())
        levels.append(Level(name, rounded(stride), anchors, int(changed[0])))
    return tuple(sorted(levels, key=lambda level: level.first_row))


def _verify(tail: Tail, values: Mapping[str, Array], levels: tuple[Level, ...]) -> None:
    given = noise(values)
    theirs = tail(given)
    ours = decode([given[level.tensor] for level in levels], levels)
    if parity.difference({"rows": theirs}, {"rows": ours}) > parity.TOLERANCE:
        raise NotThisHead("the graph decodes its heads in another way than YOLOv5 does")
