"""`amct_onnx convert`: a model trained with QuantizeLinear/DequantizeLinear becomes a deploy model, its scales kept."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from .config import AmctError
from .deploy import Quantised
from .layers import QUANTISABLE, Layer, channel_axis


def read_qat(model: onnx.ModelProto) -> list[Quantised]:
    """Every layer whose activation and weight pass through a pair; the pairs leave the model's graph (in place)."""
    graph = model.graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    folded = _folded_constants(graph, tensors)
    found = []
    for node in graph.node:
        if node.op_type not in QUANTISABLE or len(node.input) < 2:
            continue
        activation, weight = makers.get(node.input[0]), makers.get(node.input[1])
        if activation is None or weight is None:
            continue
        if {activation.op_type, weight.op_type} != {"DequantizeLinear"}:
            continue
        entry = _layer(node, activation, weight, {**folded, **tensors}, makers)
        if entry is not None:
            found.append(entry)
    if not found:
        raise AmctError("the model has no layer with QuantizeLinear/DequantizeLinear on activation and weight")
    _remove_pairs(graph, folded)
    return found


def _folded_constants(graph: onnx.GraphProto, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The floats behind every DequantizeLinear of a constant: biases, and weights of layers that stay in fp16."""
    folded = {}
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in tensors:
            continue
        values, scale = tensors[node.input[0]], tensors[node.input[1]]
        zero = tensors[node.input[2]] if len(node.input) > 2 else np.zeros(1, values.dtype)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[axis] = scale.size
        plain = values.astype(np.float32) - zero.astype(np.float32).reshape(shape if zero.size > 1 else -1)
        folded[node.output[0]] = (
            (plain * scale.reshape(shape if scale.size > 1 else -1)).astype(np.float32).reshape(values.shape)
        )
    return folded


def _layer(
    node: onnx.NodeProto,
    activation: onnx.NodeProto,
    weight: onnx.NodeProto,
    tensors: dict[str, np.ndarray],
    makers: dict[str, onnx.NodeProto],
) -> Quantised | None:
    source = makers.get(activation.input[0])
    if source is None or source.op_type != "QuantizeLinear":
        return None
    scale = tensors[activation.input[1]]
    zero = tensors[activation.input[2]] if len(activation.input) > 2 else np.uint8(0)
    values = tensors.get(weight.input[0])
    scale_w = np.atleast_1d(tensors[weight.input[1]]).astype(np.float32)
    if values is None:  # QuantizeLinear of a float weight
        before = makers[weight.input[0]]
        axis = channel_axis(node, tensors[before.input[0]].ndim) or 0
        shape = [1] * tensors[before.input[0]].ndim
        shape[axis] = scale_w.size
        values = np.clip(np.rint(tensors[before.input[0]] / scale_w.reshape(shape)), -128, 127).astype(np.int8)
    axis = channel_axis(node, values.ndim)
    if axis is None or scale.size != 1 or values.dtype != np.int8:
        return None
    if len(weight.input) > 2 and np.any(tensors[weight.input[2]]):
        raise AmctError(f"layer {node.name}: weights with an offset are not supported")
    offset = int(zero.reshape(-1)[0] if hasattr(zero, "reshape") else zero)
    offset -= 128 if getattr(zero, "dtype", None) == np.uint8 else 0
    bias = tensors.get(node.input[2]) if len(node.input) > 2 else None
    layer = Layer(node, values, bias, axis)
    return Quantised(layer, float(scale.reshape(-1)[0]), offset, values, scale_w)


def _remove_pairs(graph: onnx.GraphProto, folded: dict[str, np.ndarray]) -> None:
    """Consumers read what stood before each pair; quantisation of layers that stay in fp16 is dropped."""
    makers = {output: node for node in graph.node for output in node.output}
    instead: dict[str, str] = {}
    for node in graph.node:
        source = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if source is not None and source.op_type == "QuantizeLinear":
            instead[node.output[0]] = source.input[0]
    ends = {instead[value.name]: value.name for value in graph.output if value.name in instead}
    kept = [node for node in graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    for node in kept:
        node.input[:] = [ends.get(name, name) for name in (instead.get(name, name) for name in node.input)]
        node.output[:] = [ends.get(name, name) for name in node.output]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(folded[name], name) for name in sorted(used & set(folded)))
