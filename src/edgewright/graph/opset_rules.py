"""How an operator that changed between operator sets is said in an older one. Source: ONNX's docs/Changelog.md:
opset 13 turned axes and split sizes into inputs, softmax stopped flattening, 14 brought HardSwish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.graph import surgery

Rule = Callable[[Any, Any], None]


def rewrite(model: Any, node: Any, version: int) -> None:
    """Changes one node of `model` in place to mean the same in `version`. InputError where no rule knows how."""
    rule = _RULES.get(node.op_type) if version < 13 else None
    if node.op_type == "HardSwish" and version < 14:
        rule = _hard_swish
    if node.op_type == "LayerNormalization" and version < 17:
        rule = _layer_norm
    if rule is None:
        raise InputError(
            f"The operator {node.op_type} ({node.name or node.output[0]}) cannot be said in opset {version}.",
            "Export the model with that opset, or choose a converter version that reads a newer one.",
        )
    rule(model, node)


def _axes(model: Any, node: Any) -> None:
    """Squeeze, Unsqueeze, ReduceSum: the axes are an attribute."""
    _input_to_attribute(model, node, 1, "axes")


def _split(model: Any, node: Any) -> None:
    """Split: the sizes are an attribute; `num_outputs` (opset 18) was implied."""
    _input_to_attribute(model, node, 1, "split")
    surgery.replace(node.attribute, [entry for entry in node.attribute if entry.name != "num_outputs"])


def _resize(model: Any, node: Any) -> None:
    """Resize: `roi` and `scales` have to be there, empty where they are not used."""
    while len(node.input) < 3:
        node.input.append("")
    for at, name in ((1, "roi"), (2, "scales")):
        if not node.input[at]:
            label = surgery.fresh_name(model, f"{node.output[0]}.{name}")
            node.input[at] = surgery.store(model, label, np.zeros(0, np.float32))
    for entry in node.attribute:
        if entry.name in ("antialias", "axes", "keep_aspect_ratio_policy") and _is_used(entry):
            raise InputError(f"The Resize {node.name} uses {entry.name}, which opset 11 lacks.", "Export it without.")
    kept = ("coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value", "mode")
    surgery.replace(node.attribute, [entry for entry in node.attribute if entry.name in (*kept, "nearest_mode")])


def _softmax(model: Any, node: Any) -> None:
    """Softmax over one axis is the old one, which flattens from that axis on, only where that axis is the last."""
    axis = surgery.attribute(node, "axis", -1)
    rank = _rank(model, node.input[0])
    if axis != -1 and axis != rank - 1:
        raise InputError(
            f"The softmax {node.name} goes over axis {axis}, not over the last one, which opset 11 cannot say.",
            "Transpose before it in the model, or choose a converter version that reads opset 13.",
        )
    from onnx import helper

    others = [entry for entry in node.attribute if entry.name != "axis"]
    surgery.replace(node.attribute, [*others, helper.make_attribute("axis", rank - 1 if rank else -1)])


def _hard_swish(model: Any, node: Any) -> None:
    """x · HardSigmoid(x; 1/6, 1/2), which is its definition."""
    from onnx import helper

    gate = surgery.fresh_name(model, f"{node.output[0]}.gate")
    sigmoid = helper.make_node(
        "HardSigmoid", [node.input[0]], [gate], name=f"{node.name or node.output[0]}.gate", alpha=1 / 6, beta=0.5
    )
    at = next(i for i, other in enumerate(model.graph.node) if other is node or other.output == node.output)
    model.graph.node.insert(at, sigmoid)
    node = model.graph.node[at + 1]
    node.op_type = "Mul"
    surgery.replace(node.input, [node.input[0], gate])


def _layer_norm(model: Any, node: Any) -> None:
    """(x − mean) ÷ √(variance + ε) · scale + shift over the last axis, written out."""
    from onnx import helper

    axis = surgery.attribute(node, "axis", -1)
    if axis not in (-1, _rank(model, node.input[0]) - 1) or len([name for name in node.output if name]) > 1:
        raise InputError(f"The LayerNormalization {node.name} is not over the last axis alone.", "Export opset 17.")
    out, label = node.output[0], node.name or node.output[0]
    two = surgery.store(model, surgery.fresh_name(model, f"{out}.two"), np.array(2, np.float32))
    epsilon = np.array(surgery.attribute(node, "epsilon", 1e-5), np.float32)
    small = surgery.store(model, surgery.fresh_name(model, f"{out}.epsilon"), epsilon)
    made: list[Any] = []

    def add(kind: str, *entering: str, leaving: str = "", **options: Any) -> str:
        name = leaving or surgery.fresh_name(model, f"{out}.{len(made)}")
        made.append(helper.make_node(kind, entering, [name], name=f"{label}.{kind}_{len(made)}", **options))
        return name

    centred = add("Sub", node.input[0], add("ReduceMean", node.input[0], axes=[-1]))
    variance = add("ReduceMean", add("Pow", centred, two), axes=[-1])
    normal = add("Div", centred, add("Sqrt", add("Add", variance, small)))
    shifted = len(node.input) > 2 and bool(node.input[2])
    scaled = add("Mul", normal, node.input[1], leaving="" if shifted else out)
    if shifted:
        add("Add", scaled, node.input[2], leaving=out)
    at = next(i for i, other in enumerate(model.graph.node) if other.output == node.output)
    nodes = list(model.graph.node)
    surgery.replace(model.graph.node, [*nodes[:at], *made, *nodes[at + 1 :]])


_RULES: dict[str, Rule] = {
    "Squeeze": _axes,
    "Unsqueeze": _axes,
    "ReduceSum": _axes,
    "Split": _split,
    "Resize": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}


def _input_to_attribute(model: Any, node: Any, at: int, name: str) -> None:
    from onnx import helper

    if len(node.input) <= at or not node.input[at]:
        surgery.replace(node.input, list(node.input)[:at])
        return
    value = surgery.constants(model).get(node.input[at])
    if value is None:
        raise InputError(
            f"The {name} of {node.op_type} {node.name} are computed in the graph: older opsets cannot say that.",
            "Export the model with fixed shapes.",
        )
    surgery.replace(node.input, list(node.input)[:at])
    kept = [entry for entry in node.attribute if entry.name != "noop_with_empty_axes"]
    surgery.replace(node.attribute, [*kept, helper.make_attribute(name, [int(n) for n in np.ravel(value)])])


def _rank(model: Any, name: str) -> int:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    return next((len(v.type.tensor_type.shape.dim) for v in values if v.name == name), 0)


def _is_used(entry: Any) -> bool:
    return bool(entry.i or len(entry.ints) or entry.s not in (b"", b"stretch"))
