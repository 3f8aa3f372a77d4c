"""Where a decoded YOLOv8-style export (anchor-free, 1×(4+nc)×N) really ends: a box and a class head per stride.

The decode, asked as in yolov5_head.py (distribution focal loss, Li et al., 2020; zeros make every bin equally likely):
    distance = mean bin under a softmax over reg_max bins, box = cell + 0.5 ± distance, in strides;  scores = σ
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.graph import parity, surgery
from edgewright.graph.head import NotThisHead, Tail, last_convolutions, noise, rounded, with_outputs
from edgewright.graph.surgery import Array


@dataclass(frozen=True)
class Level:
    """One stride's raw heads: the tensors of the boxes (1×4·reg_max×h×w) and of the classes (1×nc×h×w), the stride in
    pixels, and the first column in the decoded output."""

    boxes: str
    classes: str
    stride: float
    first_column: int
    reg_max: int


def find(model: Any, decoded: str) -> tuple[Level, ...]:
    """The raw heads behind the output `decoded`, in the order of its columns. NotThisHead where they are not these."""
    feeds = parity.random_feeds(model)
    stored = surgery.constants(model)
    raws = last_convolutions(model, decoded, lambda node: not _averages_bins(node, stored))
    if not 2 <= len(raws) <= 16 or len(raws) % 2:
        raise NotThisHead(f"{len(raws)} convolutions end before '{decoded}'")
    values = parity.run(with_outputs(model, raws), feeds, [*raws, decoded])
    answer = values.pop(decoded)
    if answer.ndim != 3 or answer.shape[1] < 5 or any(head.ndim != 4 for head in values.values()):
        raise NotThisHead(f"'{decoded}' is {'×'.join(map(str, answer.shape))}, not 1×(4+classes)×N")
    tail = Tail(model, decoded, values, feeds)
    levels = _levels(tail, values, answer.shape[1] - 4)
    given = noise(values)
    ours = decode([(given[level.boxes], given[level.classes]) for level in levels], levels)
    if parity.difference({"rows": tail(given)}, {"rows": ours}) > parity.TOLERANCE:
        raise NotThisHead("the graph decodes its heads in another way than YOLOv8 does")
    return levels


def decode(heads: Sequence[tuple[Array, Array]], levels: Sequence[Level]) -> Array:
    """Raw (boxes, classes) per level to B×(4+nc)×N: cx, cy, w, h in pixels and class scores in 0–1."""
    columns = []
    for (boxes, classes), level in zip(heads, levels, strict=True):
        batch, _, height, width = boxes.shape
        bins = boxes.astype(np.float32).reshape(batch, 4, level.reg_max, height, width)
        weight = np.exp(bins - bins.max(axis=2, keepdims=True))
        mean = np.arange(level.reg_max, dtype=np.float32).reshape(1, 1, -1, 1, 1)
        sides = (weight * mean).sum(axis=2) / weight.sum(axis=2)
        y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
        cells = np.stack((x, y))[None]
        low, high = cells - sides[:, :2], cells + sides[:, 2:]
        places = np.concatenate(((low + high) / 2, high - low), 1) * level.stride
        scores = 1 / (1 + np.exp(-classes.astype(np.float32)))
        columns.append(np.concatenate((places, scores), 1).reshape(batch, -1, height * width))
    return np.concatenate(columns, 2)


def _averages_bins(node: Any, stored: Mapping[str, Array]) -> bool:
    """The convolution that exports use to take a mean over bins: one output, weights 0, 1, 2, …"""
    weight = stored.get(node.input[1])
    return weight is not None and weight.shape[0] == 1 and np.array_equal(weight.ravel(), np.arange(weight.size))


def _levels(tail: Tail, values: Mapping[str, Array], classes: int) -> tuple[Level, ...]:
    zeros = {name: np.zeros_like(head) for name, head in values.items()}
    rest = tail(zeros)
    ends: dict[int, dict[str, str]] = {}
    for name, head in values.items():
        random = np.random.default_rng(1).normal(0, 3, head.shape).astype(head.dtype)
        moved = (tail({**zeros, name: random}) != rest).any(axis=0)
        columns = np.flatnonzero(moved.any(axis=0))
        cells = head.shape[2] * head.shape[3]
        if len(columns) != cells or columns[-1] - columns[0] + 1 != cells:
            raise NotThisHead(f"the columns of '{name}' are not together in the decoded output")
        part = "boxes" if moved[:4].any() else "classes"
        fits = head.shape[1] % 4 == 0 and not moved[4:].any() if part == "boxes" else head.shape[1] == classes
        if not fits:
            raise NotThisHead(f"'{name}' is neither a box head nor a class head")
        ends.setdefault(int(columns[0]), {})[part] = name
    levels = []
    for column, pair in sorted(ends.items()):
        if set(pair) != {"boxes", "classes"}:
            raise NotThisHead("boxes and classes do not come in pairs")
        stride = rounded(float(2 * rest[0, 0, column]))
        levels.append(Level(pair["boxes"], pair["classes"], stride, column, values[pair["boxes"]].shape[1] // 4))
    return tuple(levels)
