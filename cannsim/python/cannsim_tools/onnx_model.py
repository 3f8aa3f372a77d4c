"""Opening an ONNX file the way atc's parser does, and naming what it leaves unnamed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .vendor_error import VendorError

QUANT_DOMAIN = "amct.customop"  # our choice: the published deploy models could not be seen


def load(path: str) -> onnx.ModelProto:
    """VendorError for a file that is no ONNX model."""
    try:
        model = onnx.load(path)
    except Exception as problem:  # protobuf and onnx raise a dozen kinds for a broken file
        raise VendorError("E10041", path) from problem
    if not model.HasField("graph") or not model.graph.node:
        raise VendorError("E16004") if not model.HasField("graph") else VendorError("E16001", "graph")
    domains = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(domains) != 1:
        raise VendorError("E16005", len(domains))
    return model


def opset_of(model: onnx.ModelProto) -> int:
    return int(next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")))


def real_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Graph inputs that are not initializers."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def dims_of(value: onnx.ValueInfoProto) -> list[int]:
    """Dims, -1 for what is not a number."""
    shape = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else -1 for dim in shape]


def name_nodes(model: onnx.ModelProto) -> None:
    """Gives unnamed nodes the name the parser gives them (type and a counter), and makes every name unique."""
    taken = Counter(node.name for node in model.graph.node if node.name)
    counter = 0
    seen: set[str] = set()
    for node in model.graph.node:
        if not node.name:
            while not node.name or node.name in taken:
                node.name = f"{node.op_type}_{counter}"
                counter += 1
        if node.name in seen:
            node.name = f"{node.name}_{counter}"
            counter += 1
        seen.add(node.name)


def constants_to_initializers(model: onnx.ModelProto) -> None:
    """`Constant` nodes become initializers, so that weights are found in one place."""
    kept = []
    for node in model.graph.node:
        tensor = _constant_value(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
            continue
        copy = model.graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = node.output[0]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _constant_value(node: onnx.NodeProto) -> TensorProto | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in ("value_float", "value_floats"):
            value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            return numpy_helper.from_array(np.array(value, np.float32))
        if attribute.name in ("value_int", "value_ints"):
            value = attribute.i if attribute.name == "value_int" else list(attribute.ints)
            return numpy_helper.from_array(np.array(value, np.int64))
    return None


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type by tensor name, as far as shape inference comes."""
    inferred = onnx.shape_inference.infer_shapes(model)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    types = {value.name: int(value.type.tensor_type.elem_type) for value in values}
    types.update((tensor.name, int(tensor.data_type)) for tensor in model.graph.initializer)
    return types


def static_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Dims by tensor name, as far as shape inference comes (-1: unknown)."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    shapes = {value.name: dims_of(value) for value in values if value.type.tensor_type.HasField("shape")}
    shapes.update((tensor.name, list(tensor.dims)) for tensor in model.graph.initializer)
    return shapes
