"""fold_input: colour order, scale, mean/std, layout and cast move from the pre-processing into the graph.

Why: a device then hands over uint8 pixels as they lie (a quarter of the bytes, no float copy), and what is left of the
arithmetic is inside the first convolution. The steps together are y_c = a_c·x_p(c) + b_c; a and p go exactly into the
weights of the convolutions that read the input. b goes into their bias only where they have no padding (padding adds
zeros of y, not of x); elsewhere it stays as one Add. Graphs that start otherwise get plain nodes.
Before: one image input, read as NCHW or NHWC float. After: the same input's name, uint8 N×H×W×C, same answers; the
task keeps the steps before these, and `layout NHWC` to make the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.image_input import Affine, affine_of, divide
from edgewright.graph.step import StepResult
from edgewright.graph.surgery import Array


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    ports = surgery.inputs(model)
    if len(ports) != 1 or len(surgery.shape_of(ports[0])) != 4 or surgery.dtype_of(ports[0]).kind != "f":
        return StepResult(model, spec, False, "the graph does not start from one float image")
    kept, folded = divide(spec.preprocess)
    layouts = [str(step.params.get("to", "NCHW")) for step in folded if step.kind == "layout"]
    if len(layouts) != 1:
        return StepResult(model, spec, False, "the pre-processing does not end in one layout step")
    affine = affine_of(folded, layouts[0], _channels(ports[0], layouts[0]))
    if affine is None:
        return StepResult(model, spec, False, "the image does not have three channels throughout")
    start = surgery.copy(model)
    effect = _fold(start, affine, weights=bool(params.get("weights", True)))
    worst = _verify(model, start, folded)
    rest = replace(spec, preprocess=(*kept, Step("layout", {"to": "NHWC"})))
    note = f"{len(folded)} steps folded ({effect}), the input is uint8 NHWC, answers within {worst:.1g}"
    return StepResult(start, rest, True, note)


def _channels(port: Any, layout: str) -> int | None:
    return surgery.shape_of(port)[1 if layout == "NCHW" else 3]


def _fold(model: Any, affine: Affine, *, weights: bool) -> str:
    """Makes the input uint8 NHWC, in place; says where the arithmetic went."""
    port = surgery.inputs(model)[0]
    name, kind = port.name, port.type.tensor_type.elem_type
    pixels = surgery.fresh_name(model, f"{name}.pixels")
    readers = surgery.consumers(model).get(name, [])
    surgery.rewire(model, name, pixels)
    convolutions = weights and affine.layout == "NCHW" and _all_convolutions(model, readers)
    if convolutions:
        plan, effect = _into_weights(model, readers, affine)
    else:
        plan, effect = affine, "as nodes of their own"
    nodes = _nodes(model, plan, name, pixels, kind)
    surgery.replace(model.graph.node, [*nodes, *list(model.graph.node)])
    _to_pixels(port, affine.layout)
    del model.graph.value_info[:]
    surgery.prune(model)
    return effect


def _all_convolutions(model: Any, readers: list[Any]) -> bool:
    stored = surgery.constants(model)
    return bool(readers) and all(
        node.op_type == "Conv"
        and surgery.attribute(node, "group", 1) == 1
        and all(name in stored for name in node.input[1:] if name)
        for node in readers
    )


def _into_weights(model: Any, readers: list[Any], affine: Affine) -> tuple[Affine, str]:
    """Puts gain, order (and, without padding, shift) into the convolutions; gives what is left to do before them."""
    stored = surgery.constants(model)
    padded = any(_is_padded(node) for node in readers)
    shifted = bool(np.any(affine.shift != 0))
    inverse = np.argsort(affine.order)
    for node in readers:
        weight = stored[node.input[1]].astype(np.float64)
        out = node.output[0]
        if shifted and not padded:
            bias = stored[node.input[2]].astype(np.float64) if len(node.input) > 2 and node.input[2] else 0.0
            moved = bias + (weight * affine.shift.reshape(1, -1, 1, 1)).sum(axis=(1, 2, 3))
            while len(node.input) < 3:
                node.input.append("")
            dtype = stored[node.input[1]].dtype
            node.input[2] = surgery.store(model, surgery.fresh_name(model, f"{out}.bias"), moved.astype(dtype))
        scaled = (weight * affine.gain.reshape(1, -1, 1, 1))[:, inverse]
        dtype = stored[node.input[1]].dtype
        node.input[1] = surgery.store(model, surgery.fresh_name(model, f"{out}.weight"), scaled.astype(dtype))
    if not shifted or not padded:
        return replace(affine, order=(0, 1, 2), gain=np.ones(3), shift=np.zeros(3)), "into the first convolution"
    shift = (affine.shift / affine.gain)[inverse]
    left = replace(affine, order=(0, 1, 2), gain=np.ones(3), shift=shift)
    return left, "into the first convolution, the mean as one Add because of its padding"


def _is_padded(node: Any) -> bool:
    automatic = surgery.attribute(node, "auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    return automatic or any(surgery.attribute(node, "pads", []))


def _nodes(model: Any, affine: Affine, source: str, target: str, kind: int) -> list[Any]:
    """uint8 NHWC `source` → float `target` in the layout and values the graph wants."""
    from onnx import helper

    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    axis = 1 if affine.layout == "NCHW" else 3
    per_channel = [1, 1, 1, 1]
    per_channel[axis] = 3
    planned: list[tuple[str, list[str], dict[str, Any]]] = []
    if affine.layout == "NCHW":
        planned.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))  # before the cast: a quarter of the bytes to move
    planned.append(("Cast", [], {"to": kind}))
    if affine.order != (0, 1, 2):
        order = surgery.store(model, surgery.fresh_name(model, f"{source}.order"), np.array(affine.order, np.int64))
        planned.append(("Gather", [order], {"axis": axis}))
    for operator, value in (("Mul", affine.gain), ("Add", affine.shift)):
        if np.any(value != (1 if operator == "Mul" else 0)):
            label = surgery.fresh_name(model, f"{source}.{operator.lower()}")
            planned.append((operator, [surgery.store(model, label, value.reshape(per_channel).astype(dtype))], {}))
    nodes, entering = [], source
    for i, (operator, more, options) in enumerate(planned):
        leaving = target if i == len(planned) - 1 else surgery.fresh_name(model, f"{source}.{i}")
        nodes.append(helper.make_node(operator, [entering, *more], [leaving], name=f"fold_input.{operator}", **options))
        entering = leaving
    return nodes


def _to_pixels(port: Any, layout: str) -> None:
    import onnx

    kind = port.type.tensor_type
    kind.elem_type = onnx.TensorProto.UINT8
    if layout == "NCHW":
        batch, channels, height, width = (onnx.TensorShapeProto.Dimension() for _ in range(4))
        for twin, dim in zip((batch, channels, height, width), kind.shape.dim, strict=True):
            twin.CopyFrom(dim)
        surgery.replace(kind.shape.dim, [batch, height, width, channels])


def _verify(before: Any, after: Any, steps: tuple[Step, ...]) -> float:
    feeds = parity.random_feeds(after)
    name, pixels = next(iter(feeds.items()))
    prepared = np.stack([_reference(image, steps) for image in pixels])
    dtype = surgery.dtype_of(surgery.inputs(before)[0])
    return parity.require(parity.run(before, {name: prepared.astype(dtype)}), parity.run(after, feeds), "fold_input")


def _reference(image: Array, steps: tuple[Step, ...]) -> Array:
    """The steps one by one, as the task states them, on uint8 H×W×3; without the batch axis."""
    for step in steps:
        if step.kind == "colour" and step.params["order"] == "bgr":
            image = image[..., ::-1]
        elif step.kind == "scale":
            image = image * np.float32(step.params["factor"])
        elif step.kind == "normalise":
            image = (image - np.float32(step.params["mean"])) / np.float32(step.params["std"])
    to = next(str(step.params.get("to", "NCHW")) for step in steps if step.kind == "layout")
    return image.transpose(2, 0, 1) if to == "NCHW" else image
