"""A YOLOv5 network written as an ONNX graph directly: no torch, no tracing, the opset asked is the opset written.

    images  float32 (batch, 3, H, W), RGB in 0–1   →   output0  float32 (batch, N, 5 + classes)

Each row of `output0` is centre x, centre y, width, height in pixels of the input, then objectness and class scores in
0–1: what the official decoded export gives, N = anchors × Σ (H/stride · W/stride). Batch norm is folded into the
convolutions; tensors are named by their official module (`model.9.cv1.conv`), so a node can be found in the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.sources.yolov5.architecture import Activation, Architecture, Layer
from edgewright.sources.yolov5.graph_builder import GraphBuilder
from edgewright.sources.yolov5.weights import BATCH_NORM_EPS, Weights

INPUT, OUTPUT = "images", "output0"
OLDEST_OPSET, NEWEST_OPSET = 11, 24


@dataclass(frozen=True)
class WrittenGraph:
    """An `onnx.ModelProto` and, for each layer of the yaml, the name of the tensor that holds its result."""

    proto: Any
    layer_tensors: tuple[str, ...]


def check_shape(architecture: Architecture, shape: tuple[int, ...]) -> None:
    """InputError unless (batch, channels, height, width) fits the network."""
    coarsest = max(architecture.strides)
    if len(shape) != 4 or any(not 1 <= n <= 1 << 14 for n in shape) or shape[1] != architecture.channels:
        wanted = f"[1, {architecture.channels}, 640, 640]"
        raise InputError(f"The input shape {list(shape)} does not fit this model.", f"Give one such as {wanted}.")
    if shape[2] % coarsest or shape[3] % coarsest:
        near = [max(round(n / coarsest), 1) * coarsest for n in shape[2:]]
        raise InputError(
            f"The input is {shape[2]}×{shape[3]} pixels, but this model needs multiples of {coarsest}.",
            f"Use [{shape[0]}, {shape[1]}, {near[0]}, {near[1]}].",
        )


def write_graph(
    architecture: Architecture, weights: Weights, shape: tuple[int, ...], *, opset: int, dynamic_batch: bool = True
) -> WrittenGraph:
    """The graph for inputs of `shape` (batch, channels, height, width); `dynamic_batch` leaves the first open.

    Raises InputError for a shape that does not fit or an opset outside 11–24.
    """
    from onnx import TensorProto, helper, numpy_helper

    check_shape(architecture, shape)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise InputError(
            f"A YOLOv5 graph cannot be written in opset {opset}.",
            f"Ask for {OLDEST_OPSET} to {NEWEST_OPSET}; 17 is usual.",
        )
    graph = GraphBuilder(weights, opset)
    outputs: list[str] = []
    for layer in architecture.layers[:-1]:
        outputs.append(_layer(graph, layer, architecture, [_tensor(i, outputs) for i in layer.inputs]))
    rows = _detect(graph, architecture, [outputs[i] for i in architecture.detect.inputs], shape)
    batch = "batch" if dynamic_batch else shape[0]
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "yolov5",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, *shape[1:]])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, rows, architecture.outputs_per_anchor])],
            [numpy_helper.from_array(array, name) for name, array in graph.initializers.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="edgewright",
    )
    proto.ir_version = helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    return WrittenGraph(proto, (*outputs, OUTPUT))


def _tensor(index: int, outputs: list[str]) -> str:
    return outputs[index] if index >= 0 else INPUT


def _layer(graph: GraphBuilder, layer: Layer, architecture: Architecture, inputs: list[str]) -> str:
    name, x = f"model.{layer.index}", inputs[0]
    if layer.kind == "Concat":
        return graph.concat(inputs, name)
    if layer.kind == "Upsample":
        return graph.upsample(x, name, layer.scale)
    if layer.kind == "C3":
        return _c3(graph, layer, architecture.activation, x, name)
    if layer.kind == "BottleneckCSP":
        return _bottleneck_csp(graph, layer, architecture, x, name)
    for copy in range(layer.repeats):
        part = f"{name}.{copy}" if layer.repeats > 1 else name
        x = _single(graph, layer, architecture.activation, x, part)
    return x


def _single(graph: GraphBuilder, layer: Layer, act: Activation, x: str, name: str) -> str:
    if layer.kind == "Conv":
        return _conv(graph, x, name, act, layer.stride, layer.padding, layer.groups)
    if layer.kind == "Focus":
        corners = ((0, 0), (1, 0), (0, 1), (1, 1))
        quarters = [graph.every_second(x, f"{name}.slice{row}{column}", row, column) for row, column in corners]
        stacked = graph.concat(quarters, f"{name}.stack")
        return _conv(graph, stacked, f"{name}.conv", act, layer.stride, layer.padding, layer.groups)
    if layer.kind == "Bottleneck":
        return _bottleneck(
            graph, x, name, act, layer.groups, layer.shortcut and layer.in_channels[0] == layer.out_channels
        )
    x = _conv(graph, x, f"{name}.cv1", act)
    if layer.kind == "SPP":
        pooled = [graph.max_pool(x, f"{name}.m.{i}", kernel) for i, kernel in enumerate(layer.kernels)]
    else:
        once = graph.max_pool(x, f"{name}.m.0", layer.kernels[0])
        twice = graph.max_pool(once, f"{name}.m.1", layer.kernels[0])
        pooled = [once, twice, graph.max_pool(twice, f"{name}.m.2", layer.kernels[0])]
    return _conv(graph, graph.concat([x, *pooled], f"{name}.stack"), f"{name}.cv2", act)


def _conv(
    graph: GraphBuilder,
    x: str,
    name: str,
    act: Activation,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
) -> str:
    x = graph.convolution(x, f"{name}.conv", norm=f"{name}.bn", stride=stride, padding=padding, groups=groups)
    return graph.activation(x, f"{name}.act", act)


def _bottleneck(graph: GraphBuilder, x: str, name: str, act: Activation, groups: int, add: bool) -> str:
    y = _conv(graph, _conv(graph, x, f"{name}.cv1", act), f"{name}.cv2", act, groups=groups)
    return graph.node("Add", [x, y], f"{name}.add") if add else y


def _bottlenecks(graph: GraphBuilder, layer: Layer, act: Activation, x: str, name: str) -> str:
    for i in range(layer.repeats):
        x = _bottleneck(graph, x, f"{name}.m.{i}", act, layer.groups, layer.shortcut)
    return x


def _c3(graph: GraphBuilder, layer: Layer, act: Activation, x: str, name: str) -> str:
    deep = _bottlenecks(graph, layer, act, _conv(graph, x, f"{name}.cv1", act), name)
    both = graph.concat([deep, _conv(graph, x, f"{name}.cv2", act)], f"{name}.join")
    return _conv(graph, both, f"{name}.cv3", act)


def _bottleneck_csp(graph: GraphBuilder, layer: Layer, architecture: Architecture, x: str, name: str) -> str:
    act = architecture.activation
    deep = _bottlenecks(graph, layer, act, _conv(graph, x, f"{name}.cv1", act), name)
    deep = graph.convolution(deep, f"{name}.cv3")
    both = graph.concat([deep, graph.convolution(x, f"{name}.cv2")], f"{name}.join")
    both = graph.batch_norm(both, f"{name}.bn", BATCH_NORM_EPS)
    return _conv(graph, graph.activation(both, f"{name}.act", architecture.csp_activation), f"{name}.cv4", act)


def _detect(graph: GraphBuilder, architecture: Architecture, inputs: list[str], shape: tuple[int, ...]) -> int:
    """The head: 1×1 convolutions and the decode (2σ − 0.5 + cell)·stride, (2σ)²·anchor. Gives the number of rows."""
    name, outputs = f"model.{architecture.detect.index}", architecture.outputs_per_anchor
    levels, rows = [], 0
    for level, (x, stride) in enumerate(zip(inputs, architecture.strides, strict=True)):
        ny, nx, anchors = shape[2] // stride, shape[3] // stride, architecture.anchors[level]
        head = graph.convolution(x, f"{name}.m.{level}", biased=True)
        part = f"{name}.decode.{level}"
        by_anchor = graph.constant(f"{part}.shape", np.array([0, len(anchors), outputs, ny, nx], np.int64))
        y = graph.node("Reshape", [head, by_anchor], f"{part}.by_anchor")
        y = graph.node("Transpose", [y], f"{part}.outputs_last", perm=[0, 1, 3, 4, 2])
        y = graph.node("Sigmoid", [y], f"{part}.sigmoid")
        boxes = _boxes(graph, y, part, architecture, level, (ny, nx))
        flat = graph.constant(f"{part}.flat", np.array([0, len(anchors) * ny * nx, outputs], np.int64))
        levels.append(graph.node("Reshape", [boxes, flat], f"{part}.rows"))
        rows += len(anchors) * ny * nx
    graph.concat(levels, OUTPUT)
    return rows


def _boxes(
    graph: GraphBuilder, scores: str, part: str, architecture: Architecture, level: int, cells: tuple[int, int]
) -> str:
    ny, nx = cells
    stride, anchors = architecture.strides[level], architecture.anchors[level]
    columns, rows = np.meshgrid(np.arange(nx), np.arange(ny))
    grid = np.stack((columns, rows), -1).astype(np.float32)[None, None] - np.float32(0.5)
    sizes = np.array(anchors, np.float32).reshape(1, len(anchors), 1, 1, 2)
    two = graph.constant("two", np.array(2, np.float32))
    xy, wh, rest = graph.split_last(scores, f"{part}.split", (2, 2, architecture.outputs_per_anchor - 4))
    xy = graph.node("Mul", [xy, two], f"{part}.xy.doubled")
    xy = graph.node("Add", [xy, graph.constant(f"{part}.grid", grid)], f"{part}.xy.cells")
    xy = graph.node("Mul", [xy, graph.constant(f"{part}.stride", np.array(stride, np.float32))], f"{part}.xy")
    wh = graph.node("Mul", [wh, two], f"{part}.wh.doubled")
    wh = graph.node("Pow", [wh, two], f"{part}.wh.squared")
    wh = graph.node("Mul", [wh, graph.constant(f"{part}.anchors", sizes)], f"{part}.wh")
    return graph.concat([xy, wh, rest], f"{part}.boxes", axis=4)
