"""Writes ONNX nodes one after another: the few operators a YOLOv5 network needs, in the dialect of the asked opset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.sources.yolov5.architecture import Activation
from edgewright.sources.yolov5.weights import Weights, fold


class GraphBuilder:
    """Nodes and initializers of a graph under construction; each method adds an operation and names its output."""

    def __init__(self, weights: Weights, opset: int) -> None:
        self.weights, self.opset = weights, opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        return self.nodes_with(operator, inputs, name, 1, **attributes)[0]

    def nodes_with(
        self, operator: str, inputs: Sequence[str], name: str, outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        from onnx import helper

        names = (name,) if outputs == 1 else tuple(f"{name}.{i}" for i in range(outputs))
        self.nodes.append(helper.make_node(operator, list(inputs), list(names), name=f"/{name}", **attributes))
        return names

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.initializers[name] = value
        return name

    def convolution(
        self,
        x: str,
        name: str,
        *,
        norm: str | None = None,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        biased: bool = False,
    ) -> str:
        """Conv with the official weight name; `norm` names a batch norm to fold in. `padding` None keeps the size."""
        if norm is not None:
            kernel, bias = fold(self.weights, name, norm)
            self.constant(f"{name}.bias", bias)
        else:
            kernel = self.weights[f"{name}.weight"]
            if biased:
                self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        inputs = [x, self.constant(f"{name}.weight", kernel)]
        size = kernel.shape[2]
        pad = size // 2 if padding is None else padding
        return self.node(
            "Conv",
            inputs + ([f"{name}.bias"] if norm is not None or biased else []),
            name,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=groups,
            dilations=[1, 1],
        )

    def batch_norm(self, x: str, name: str, eps: float) -> str:
        parts = [self.constant(f"{name}.{p}", self.weights[f"{name}.{p}"]) for p in _NORM]
        return self.node("BatchNormalization", [x, *parts], name, epsilon=eps)

    def activation(self, x: str, name: str, activation: Activation) -> str:
        if activation.kind == "identity":
            return x
        if activation.kind == "leaky_relu":
            return self.node("LeakyRelu", [x], name, alpha=activation.slope)
        if activation.kind == "relu":
            return self.node("Relu", [x], name)
        if activation.kind == "hardswish":
            return self.node("Mul", [x, self.hard_sigmoid(x, f"{name}.gate")], name)
        return self.node("Mul", [x, self.node("Sigmoid", [x], f"{name}.sigmoid")], name)

    def hard_sigmoid(self, x: str, name: str) -> str:
        return self.node("HardSigmoid", [x], name, alpha=1.0 / 6.0, beta=0.5)

    def concat(self, inputs: Sequence[str], name: str, axis: int = 1) -> str:
        return self.node("Concat", inputs, name, axis=axis)

    def max_pool(self, x: str, name: str, kernel: int) -> str:
        pads = [kernel // 2] * 4
        return self.node("MaxPool", [x], name, kernel_shape=[kernel, kernel], strides=[1, 1], pads=pads)

    def upsample(self, x: str, name: str, scale: int) -> str:
        """Nearest-neighbour enlargement by a whole factor. Resize must be given a region before opset 13."""
        region = self.constant(f"{name}.roi", np.zeros(0, np.float32)) if self.opset < 13 else ""
        scales = self.constant(f"{name}.scales", np.array([1, 1, scale, scale], np.float32))
        return self.node(
            "Resize",
            [x, region, scales],
            name,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )

    def every_second(self, x: str, name: str, row: int, column: int) -> str:
        """x[:, :, row::2, column::2]"""
        starts = self.constant(f"{name}.starts", np.array([row, column], np.int64))
        ends = self.constant("slice.ends", np.array([np.iinfo(np.int64).max] * 2, np.int64))
        axes = self.constant("slice.axes", np.array([2, 3], np.int64))
        steps = self.constant("slice.steps", np.array([2, 2], np.int64))
        return self.node("Slice", [x, starts, ends, axes, steps], name)

    def split_last(self, x: str, name: str, sizes: Sequence[int]) -> tuple[str, ...]:
        """Parts of the last of five axes; the sizes are an attribute before opset 13, an input from there on."""
        if self.opset < 13:
            return self.nodes_with("Split", [x], name, len(sizes), axis=4, split=list(sizes))
        wanted = self.constant(f"{name}.sizes", np.array(sizes, np.int64))
        return self.nodes_with("Split", [x, wanted], name, len(sizes), axis=4)


_NORM = ("weight", "bias", "running_mean", "running_var")
