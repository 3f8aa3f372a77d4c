"""AMCT deploy models: their quantisation operators become standard ONNX that the CPU runs in INT8.

The form (python/cannsim_tools/amct/deploy.py writes it): AscendQuant(x; scale, offset) feeds a convolution or matrix
product whose weight comes from AscendWeightQuant(int8 weight; offset 0) and whose int32 bias is a constant;
AscendDequant(y, deq_scale) turns its int32 sums into floats, deq_scale = activation scale x weight scale per channel.
Activations become QuantizeLinear and DequantizeLinear; weights an int8 constant, a cast and a product with the scales
(DequantizeLinear knows channels only from opset 13 on). OpenVINO turns both into its INT8 kernels.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..onnx_model import QUANT_DOMAIN
from ..vendor_error import VendorError


def is_deploy_model(model: onnx.ModelProto) -> bool:
    return any(node.op_type == "AscendDequant" and node.domain == QUANT_DOMAIN for node in model.graph.node)


def lower_quantised(model: onnx.ModelProto) -> tuple[set[str], set[str]]:
    """Rewrites the graph in place; names of the operators that now compute in INT8, and of the nodes made for it."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    dequants = {node.input[0]: node for node in graph.node if node.op_type == "AscendDequant"}
    lowered: set[str] = set()
    made: set[str] = set()
    done: set[str] = set()
    for node in graph.node:
        if node.op_type in ("AscendQuant", "AscendWeightQuant", "AscendDequant"):
            continue
        dequant = dequants.get(node.output[0])
        if dequant is None:
            nodes.append(node)
            continue
        quant = makers.get(node.input[0])
        weight = makers.get(node.input[1])
        if quant is None or weight is None or quant.op_type != "AscendQuant" or weight.op_type != "AscendWeightQuant":
            raise VendorError("E10501", node.name, node.op_type)
        if quant.name not in done:
            done.add(quant.name)
            helpers = _activation(graph, quant)
        else:
            helpers = []
        helpers += _weight(graph, node, tensors, quant, weight, dequant)
        nodes += helpers
        made |= {one.name for one in helpers}
        node.output[0] = dequant.output[0]
        nodes.append(node)
        lowered.add(node.name)
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unused(graph)
    return lowered, made


def attribute(node: onnx.NodeProto, name: str) -> float:
    return next((a.f if a.type == onnx.AttributeProto.FLOAT else a.i for a in node.attribute if a.name == name), 0)


def _constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _activation(graph: onnx.GraphProto, quant: onnx.NodeProto) -> list[onnx.NodeProto]:
    """int8 with an offset is uint8 with the offset moved by 128: the same grid, and the CPU's preferred form."""
    scale = np.float32(1.0 / attribute(quant, "scale"))  # the operator multiplies; ONNX divides
    zero = np.uint8(int(attribute(quant, "offset")) + 128)
    names = _constant(graph, f"{quant.name}/scale", scale), _constant(graph, f"{quant.name}/zero", np.array(zero))
    between = f"{quant.output[0]}/u8"
    return [
        helper.make_node("QuantizeLinear", [quant.input[0], *names], [between], name=f"{quant.name}/q"),
        helper.make_node("DequantizeLinear", [between, *names], [quant.output[0]], name=f"{quant.name}/dq"),
    ]


def _weight(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    tensors: dict[str, onnx.TensorProto],
    quant: onnx.NodeProto,
    weight: onnx.NodeProto,
    dequant: onnx.NodeProto,
) -> list[onnx.NodeProto]:
    """The weight as its int8 values times their scales, and the int32 bias as the floats it stands for."""
    packed = numpy_helper.to_array(tensors[dequant.input[1]])
    deq_scale = (packed.astype(np.uint64) & 0xFFFFFFFF).astype(np.uint32).view(np.float32).copy()
    scale = (deq_scale * np.float32(attribute(quant, "scale"))).astype(np.float32)
    values = numpy_helper.to_array(tensors[weight.input[0]])
    shape = [1] * values.ndim
    shape[_channel_axis(node, values.ndim)] = scale.size
    name = f"{node.name}/weight"
    scale_name = _constant(graph, f"{name}_scale", scale.reshape(shape))
    node.input[1] = f"{name}_float"
    made = [
        helper.make_node("Cast", [weight.input[0]], [f"{name}_cast"], name=f"{name}_cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_cast", scale_name], [node.input[1]], name=name),
    ]
    if len(node.input) > 2 and node.input[2] in tensors:
        bias = numpy_helper.to_array(tensors[node.input[2]])
        if bias.dtype == np.int32:
            node.input[2] = _constant(graph, f"{node.name}/bias_float", (bias * deq_scale).astype(np.float32))
    return made


def _channel_axis(node: onnx.NodeProto, rank: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm" and attribute(node, "transB"):
        return 0
    return rank - 1


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
