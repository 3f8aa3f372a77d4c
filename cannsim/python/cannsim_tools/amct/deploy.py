"""Writing the quantised models: the deploy model for atc, the fake-quant model for checking, the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..atc.quantised import lower_quantised
from ..onnx_model import QUANT_DOMAIN
from .layers import Layer


@dataclass(frozen=True)
class Quantised:
    layer: Layer
    scale_d: float
    offset_d: int
    weight: np.ndarray  # int8
    scale_w: np.ndarray  # float32, one or one a channel


def build_deploy(model: onnx.ModelProto, layers: list[Quantised]) -> onnx.ModelProto:
    """A copy with AscendQuant before, AscendDequant after and AscendWeightQuant beside every quantised layer.

    AscendQuant multiplies by `scale` (1 / scale_d) and adds `offset`; deq_scale holds float32 scale_d * scale_w in
    the low half of a uint64, as the device takes it; biases become int32 of that scale.
    """
    deploy = onnx.ModelProto()
    deploy.CopyFrom(model)
    graph = deploy.graph
    by_name = {entry.layer.node.name: entry for entry in layers}
    nodes: list[onnx.NodeProto] = []
    quants: dict[tuple[str, float, int], str] = {}
    for node in graph.node:
        entry = by_name.get(node.name)
        if entry is None:
            nodes.append(node)
            continue
        nodes += _quantise(graph, node, entry, quants)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
    deploy.opset_import.add(domain=QUANT_DOMAIN, version=1)
    deploy.producer_name = "cannsim amct_onnx (simulated)"
    return deploy


def _quantise(
    graph: onnx.GraphProto, node: onnx.NodeProto, entry: Quantised, quants: dict[tuple[str, float, int], str]
) -> list[onnx.NodeProto]:
    made = []
    key = (node.input[0], entry.scale_d, entry.offset_d)
    if key not in quants:
        quants[key] = f"{node.name}.quant_out"
        scale, offset = 1.0 / entry.scale_d, entry.offset_d
        name = f"{node.name}.quant"
        made.append(_node("AscendQuant", [node.input[0]], quants[key], name, quant_bit=8, scale=scale, offset=offset))
    weight, converted = f"{node.name}.weight_int8", f"{node.name}.weight_out"
    graph.initializer.append(numpy_helper.from_array(entry.weight, weight))
    made.append(_node("AscendWeightQuant", [weight], converted, f"{node.name}.weight_quant", offset=0))
    deq = (np.float32(entry.scale_d) * entry.scale_w).astype(np.float32)
    deq_name = f"{node.name}.deq_scale"
    graph.initializer.append(numpy_helper.from_array(deq.view(np.uint32).astype(np.uint64), deq_name))
    inputs = [quants[key], converted]
    if entry.layer.bias is not None:
        factor = next((a.f for a in node.attribute if a.name == "beta" and node.op_type == "Gemm"), 1.0)
        limits = np.iinfo(np.int32)
        bias = np.clip(np.rint(entry.layer.bias * factor / deq), limits.min, limits.max).astype(np.int32)
        graph.initializer.append(numpy_helper.from_array(bias, f"{node.name}.bias_int32"))
        inputs.append(f"{node.name}.bias_int32")
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.input[:] = inputs
    inner.output[:] = [f"{node.name}.sums"]
    made.append(inner)
    made.append(_node("AscendDequant", [inner.output[0], deq_name], node.output[0], f"{node.name}.dequant"))
    return made


def _node(kind: str, inputs: list[str], output: str, name: str, **attributes: float) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=name, domain=QUANT_DOMAIN, **attributes)


def save(model: onnx.ModelProto, layers: list[Quantised], prefix: str) -> list[Path]:
    """Writes `<prefix>_deploy_model.onnx`, `_fake_quant_model.onnx`, `_quant.json`; their paths.

    The fake-quant model uses standard operators, so that plain ONNX Runtime opens it (the vendor's
    needs its own operator library).
    """
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
    deploy = build_deploy(model, layers)
    deploy_path = Path(f"{prefix}_deploy_model.onnx")
    onnx.save(deploy, str(deploy_path))
    fake = onnx.ModelProto()
    fake.CopyFrom(deploy)
    lower_quantised(fake)
    kept = [entry for entry in fake.opset_import if entry.domain != QUANT_DOMAIN]
    del fake.opset_import[:]
    fake.opset_import.extend(kept)
    fake_path = Path(f"{prefix}_fake_quant_model.onnx")
    onnx.save(fake, str(fake_path))
    record = {
        entry.layer.node.name: {
            "data_quantize": {"scale": entry.scale_d, "offset": entry.offset_d, "num_bits": 8},
            "weight_quantize": {"scale": entry.scale_w.tolist(), "offset": 0, "num_bits": 8},
        }
        for entry in layers
    }
    json_path = Path(f"{prefix}_quant.json")
    json_path.write_text(json.dumps({"simulated": "cannsim", "layers": record}, indent=1))
    return [deploy_path, fake_path, json_path]
