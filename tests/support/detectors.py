"""Tiny detectors as ONNX, with the decode that exporters append: two strides (8 and 16) on a 64×64 image."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIZE = 64
CLASSES = 3
ANCHORS = {8: ((10, 13), (16, 30)), 16: ((30, 61), (62, 45))}
REG_MAX = 4


class Nodes:
    """A graph being written: `add` gives the new tensor's name, `const` a stored one's."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def add(self, kind: str, *entering: str, **options: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, entering, [name], name=name, **options))
        return name

    def const(self, value: Any, dtype: str = "float32") -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def conv(
        self, entering: str, entry: int, leave: int, kernel: int, stride: int, seed: int, bias: bool = True
    ) -> str:
        random = np.random.default_rng(seed)
        weight = self.const(random.normal(0, 1 / np.sqrt(entry * kernel * kernel), (leave, entry, kernel, kernel)))
        extra = [self.const(random.normal(0, 0.5, leave))] if bias else []
        return self.add("Conv", entering, weight, *extra, strides=[stride, stride])

    def model(self, batch: int | str, outputs: dict[str, list[Any]], opset: int = 17) -> ModelProto:
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])
        graph = helper.make_graph(self.nodes, "detector", [image], ports, self.stored)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        made.ir_version = 10
        return made


def yolov5(*, batch: int | str = 1, raw_outputs: bool = False, normalised: bool = False) -> ModelProto:
    """1×N×(5+CLASSES) as torch's exporter writes it; `raw_outputs` adds the 1×na×h×w×no heads as outputs;
    `normalised` divides coordinates by the image's size, as other exporters do."""
    n, width = Nodes(), 5 + CLASSES
    outputs: dict[str, list[Any]] = {"output0": [batch, None, width]}
    rows = []
    for stride, anchors in ANCHORS.items():
        cells, count = SIZE // stride, len(anchors)
        features = n.add("Relu", n.conv("images", 3, 8, stride, stride, seed=stride))
        head = n.conv(features, 8, count * width, 1, 1, seed=stride + 1)
        apart = n.add("Reshape", head, n.const([-1, count, width, cells, cells], "int64"))
        raw = n.add("Transpose", apart, perm=[0, 1, 3, 4, 2])
        if raw_outputs:
            outputs[raw] = [batch, count, cells, cells, width]
        rows.append(_decode5(n, raw, stride, anchors, cells, width, SIZE if normalised else 1))
    n.nodes.append(helper.make_node("Concat", rows, ["output0"], name="rows", axis=1))
    return n.model(batch, outputs)


def _decode5(n: Nodes, raw: str, stride: int, anchors: Any, cells: int, width: int, divisor: int) -> str:
    score = n.add("Sigmoid", raw)
    y, x = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    grid = n.const(np.stack((x, y), -1)[None, None] - 0.5)
    ends = [n.const([k], "int64") for k in (0, 2, 4, width)]
    axis = n.const([4], "int64")
    parts = [n.add("Slice", score, ends[k], ends[k + 1], axis) for k in range(3)]
    centre = n.add("Add", n.add("Mul", parts[0], n.const(2.0)), grid)
    centre = n.add("Mul", centre, n.const(stride / divisor))
    size = n.add("Pow", n.add("Mul", parts[1], n.const(2.0)), n.const(2.0))
    size = n.add("Mul", size, n.const(np.array(anchors, "float32").reshape(1, -1, 1, 1, 2) / divisor))
    whole = n.add("Concat", centre, size, parts[2], axis=4)
    return n.add("Reshape", whole, n.const([-1, len(anchors) * cells * cells, width], "int64"))


def yolov8(*, batch: int | str = 1) -> ModelProto:
    """1×(4+CLASSES)×N, with the bins averaged by a convolution of weights 0, 1, 2, … as Ultralytics exports it."""
    n, channels = Nodes(), 4 * REG_MAX
    flat, strides, cells_of = [], [], []
    for stride in (8, 16):
        cells = SIZE // stride
        features = n.add("Relu", n.conv("images", 3, 8, stride, stride, seed=stride))
        heads = [
            n.conv(features, 8, channels, 1, 1, seed=stride + 1),
            n.conv(features, 8, CLASSES, 1, 1, seed=stride + 2),
        ]
        both = n.add("Concat", *heads, axis=1)
        flat.append(n.add("Reshape", both, n.const([-1, channels + CLASSES, cells * cells], "int64")))
        y, x = np.meshgrid(np.arange(cells) + 0.5, np.arange(cells) + 0.5, indexing="ij")
        cells_of.append(np.stack((x, y)).reshape(2, -1))
        strides.append(np.full(cells * cells, stride))
    table = n.add("Concat", *flat, axis=2)
    ends = [n.const([k], "int64") for k in (0, channels, channels + CLASSES)]
    axis = n.const([1], "int64")
    boxes, classes = (n.add("Slice", table, ends[k], ends[k + 1], axis) for k in range(2))
    total = sum(len(s) for s in strides)
    bins = n.add("Reshape", boxes, n.const([-1, 4, REG_MAX, total], "int64"))
    bins = n.add("Softmax", n.add("Transpose", bins, perm=[0, 2, 1, 3]), axis=1)
    mean = n.add("Conv", bins, n.const(np.arange(REG_MAX, dtype="float32").reshape(1, REG_MAX, 1, 1)))
    sides = n.add("Reshape", mean, n.const([-1, 4, total], "int64"))
    halves = [n.const([k], "int64") for k in (0, 2, 4)]
    near, far = (n.add("Slice", sides, halves[k], halves[k + 1], axis) for k in range(2))
    centre = n.const(np.concatenate(cells_of, 1)[None])
    low, high = n.add("Sub", centre, near), n.add("Add", centre, far)
    middle = n.add("Div", n.add("Add", low, high), n.const(2.0))
    places = n.add("Concat", middle, n.add("Sub", high, low), axis=1)
    places = n.add("Mul", places, n.const(np.concatenate(strides)[None, None]))
    scores = n.add("Sigmoid", classes)
    n.nodes.append(helper.make_node("Concat", [places, scores], ["output0"], name="rows", axis=1))
    return n.model(batch, {"output0": [batch, 4 + CLASSES, total]})
