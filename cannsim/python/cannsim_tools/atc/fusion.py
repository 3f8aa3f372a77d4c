"""The graph passes the stand-in really performs, with their switches and counts for fusion_result.json.

Two of the vendor's many: BatchNormalization folded into the convolution before it (changes rounding, as on a device),
and the count of element-wise operators a device would compute in the convolution's buffer (changes nothing here).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

from .fusion_switch import read_fusion_switches

FOLD = "ConvBatchnormFusionPass"
EPILOGUE = "TbeConv2DElemwiseFusionPass"  # invented spelling: stands for the UB passes after a convolution
ELEMENTWISE = {"Relu", "LeakyRelu", "Add", "Mul", "Sigmoid", "HardSwish", "Clip", "PRelu"}


def fuse(model: onnx.ModelProto, switch_file: str) -> dict[str, dict[str, dict[str, str]]]:
    """Performs what is switched on; the statistics, numbers as text, as the vendor writes them."""
    default, switches = read_fusion_switches(switch_file)
    graph_fusion, ub_fusion = {}, {}
    found = _foldable(model)
    done = 0
    if switches.get(FOLD, default):
        done = sum(_fold(model, conv, norm) for conv, norm in found)
    if found:
        graph_fusion[FOLD] = {"match_times": str(len(found)), "effect_times": str(done)}
    followed = _epilogues(model)
    if followed:
        effect = followed if switches.get(EPILOGUE, default) else 0
        ub_fusion[EPILOGUE] = {"match_times": str(followed), "repository_hit_times": "0", "effect_times": str(effect)}
    return {"graph_fusion": graph_fusion, "ub_fusion": ub_fusion}


def _consumers(model: onnx.ModelProto) -> Counter[str]:
    count = Counter(name for node in model.graph.node for name in node.input)
    count.update(output.name for output in model.graph.output)
    return count


def _foldable(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, onnx.NodeProto]]:
    makers = {output: node for node in model.graph.node for output in node.output}
    uses = _consumers(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    pairs = []
    for node in model.graph.node:
        before = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if before is None or before.op_type != "Conv" or uses[before.output[0]] != 1:
            continue
        if set(before.input[1:]) <= constants and set(node.input[1:]) <= constants:
            pairs.append((before, node))
    return pairs


def _fold(model: onnx.ModelProto, conv: onnx.NodeProto, norm: onnx.NodeProto) -> int:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    values = [numpy_helper.to_array(tensors[name]).astype(np.float64) for name in norm.input[1:5]]
    scale, shift, mean, variance = values
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    weight = numpy_helper.to_array(tensors[conv.input[1]])
    bias = numpy_helper.to_array(tensors[conv.input[2]]) if len(conv.input) > 2 else np.zeros(len(factor))
    new_weight = weight * factor.reshape(-1, *([1] * (weight.ndim - 1)))
    new_bias = (bias - mean) * factor + shift
    names = [f"{conv.name}/folded_weight", f"{conv.name}/folded_bias"]
    for name, value in zip(names, (new_weight, new_bias), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value.astype(weight.dtype), name))
    conv.input[:] = [conv.input[0], *names]
    conv.output[0] = norm.output[0]
    model.graph.node.remove(norm)
    return 1


def _epilogues(model: onnx.ModelProto) -> int:
    makers = {output: node for node in model.graph.node for output in node.output}
    uses = _consumers(model)
    count = 0
    for node in model.graph.node:
        if node.op_type in ELEMENTWISE and node.input:
            before = makers.get(node.input[0])
            count += before is not None and before.op_type == "Conv" and uses[before.output[0]] == 1
    return count
