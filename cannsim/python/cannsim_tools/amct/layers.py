"""Which operators are quantised, and their weights in INT8 (ARQ: per output channel, symmetric)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from .config import AmctError, Config

QUANTISABLE = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # AveragePool is left in fp16 here


@dataclass(frozen=True)
class Layer:
    node: onnx.NodeProto
    weight: np.ndarray
    bias: np.ndarray | None
    axis: int  # of the output channels in the weight


def quantisable_layers(model: onnx.ModelProto, config: Config) -> list[Layer]:
    """In graph order. AmctError when the configuration names a layer the model lacks."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    names = {node.name for node in model.graph.node}
    if missing := (config.skip_layers | set(config.by_layer)) - names:
        raise AmctError(f"layers named in calibration_config are not in the model: {', '.join(sorted(missing))}")
    layers = []
    for node in model.graph.node:
        if node.op_type not in QUANTISABLE or node.name in config.skip_layers or node.op_type in config.skip_types:
            continue
        if len(node.input) < 2 or node.input[1] not in tensors:
            continue
        weight = numpy_helper.to_array(tensors[node.input[1]])
        axis = channel_axis(node, weight.ndim)
        if weight.dtype != np.float32 or axis is None:
            continue
        bias = None
        if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in tensors:
                continue
            bias = numpy_helper.to_array(tensors[node.input[2]])
        layers.append(Layer(node, weight, bias, axis))
    return layers


def channel_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """Where the output channels lie in the weight; None when the operator cannot be quantised."""
    attributes = {a.name: a.i for a in node.attribute if a.type == onnx.AttributeProto.INT}
    if node.op_type == "Conv":
        return 0 if rank in (4, 5) else None
    if node.op_type == "ConvTranspose":
        return 1 if rank == 4 and attributes.get("group", 1) == 1 else None
    if rank != 2:
        return None
    if node.op_type == "Gemm":
        return None if attributes.get("transA") else (0 if attributes.get("transB") else 1)
    return 1


def quantise_weight(layer: Layer, channel_wise: bool) -> tuple[np.ndarray, np.ndarray]:
    """(int8 weight, float32 scales): one scale a channel, or one for all."""
    axes = tuple(axis for axis in range(layer.weight.ndim) if axis != layer.axis)
    largest = np.abs(layer.weight).max(axis=axes if channel_wise else None)
    if not np.isfinite(largest).all():
        raise AmctError(f"layer {layer.node.name} run WeightFakeQuantArq failed: its weight is not finite")
    scale = np.maximum(np.atleast_1d(largest) / 127.0, np.finfo(np.float32).tiny).astype(np.float32)
    shape = [1] * layer.weight.ndim
    shape[layer.axis] = scale.size if channel_wise else 1
    return np.clip(np.rint(layer.weight / scale.reshape(shape)), -127, 127).astype(np.int8), scale
