"""split_head: a detector's graph ends at its raw heads; decoding is left to the post-processing.

Why: scores (0–1) and coordinates (0–640) that meet in one Concat share one INT8 scale, which rounds every score to
nothing; and the decode computes all 25,200 boxes where the device needs only the few over the threshold.
Before: the task decodes a `yolov5_flat` or `yolov8_flat` output. After: outputs `head_<stride>` and post-processing
that gives the same boxes; other outputs are gone. Undecoded graphs (YOLOX), and heads that decode in a way of their
own, are left as they are. `layout: NHWC` adds the transpose that lets a channels-last runtime hand out its heads
without reordering them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph import surgery, yolov5_head, yolov8_head
from edgewright.graph.head import NotThisHead
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    flat = [step for step in spec.postprocess if step.kind in ("yolov5_flat", "yolov8_flat")]
    if not flat:
        return StepResult(model, spec, False, "nothing is decoded in the graph")
    output = _decoded_output(model, str(flat[0].params.get("role", "")))
    if output is None:
        return StepResult(model, spec, False, "no output has the shape of decoded boxes")
    layout = str(params.get("layout", "NCHW"))
    try:
        split = _split_yolov5 if flat[0].kind == "yolov5_flat" else _split_yolov8
        return split(model, spec, flat[0], output, layout)
    except NotThisHead as reason:
        return StepResult(model, spec, False, f"the head is not split: {reason}")


def _decoded_output(model: Any, role: str) -> str | None:
    """The output of that role, or else the only one of rank 3."""
    names = [value.name for value in model.graph.output]
    if role in names:
        return role
    flat = [value.name for value in model.graph.output if len(surgery.shape_of(value)) == 3]
    return flat[0] if len(flat) == 1 else None


def _split_yolov5(model: Any, spec: TaskSpec, step: Step, output: str, layout: str) -> StepResult:
    levels = yolov5_head.find(model, output)
    split = surgery.copy(model)
    ends = [_end_at(split, level.tensor, level.stride, layout) for level in levels]
    params = {"anchors": [[list(pair) for pair in level.anchors] for level in levels]}
    new = Step("yolov5_heads", _params(ends, [level.stride for level in levels], layout, params))
    return _finished(model, split, spec, step, new, [level.tensor for level in levels], layout)


def _split_yolov8(model: Any, spec: TaskSpec, step: Step, output: str, layout: str) -> StepResult:
    """Each level's boxes and classes are joined again: the task reads one output a stride. Their convolutions are
    quantised apart, and a Concat in front of an output is not quantised."""
    import onnx

    levels = yolov8_head.find(model, output)
    split = surgery.copy(model)
    ends, joined = [], []
    for level in levels:
        both = surgery.fresh_name(split, f"raw_{level.stride:g}")
        node = onnx.helper.make_node("Concat", [level.boxes, level.classes], [both], name=both, axis=1)
        split.graph.node.append(node)
        ends.append(_end_at(split, both, level.stride, layout))
        joined.append((level.boxes, level.classes))
    params = {"reg_max": levels[0].reg_max}
    new = Step("yolov8_heads", _params(ends, [level.stride for level in levels], layout, params))
    return _finished(model, split, spec, step, new, joined, layout)


def _params(roles: list[str], strides: list[float], layout: str, more: Mapping[str, Any]) -> dict[str, Any]:
    whole = [int(stride) if float(stride).is_integer() else stride for stride in strides]
    return {"roles": roles, "strides": whole, **more, "layout": layout}


def _finished(
    model: Any, split: Any, spec: TaskSpec, old: Step, new: Step, tensors: Sequence[str | tuple[str, str]], layout: str
) -> StepResult:
    """The graph cut at its new outputs, and the task that reads them."""
    before = len(model.graph.node)
    surgery.replace(split.graph.output, _port_infos(model, split, tensors, new.params["roles"], layout))
    surgery.prune(split)
    strides = ", ".join(f"{stride:g}" for stride in new.params["strides"])
    note = f"cut at {len(tensors)} raw heads (strides {strides}), {before} → {len(split.graph.node)} nodes"
    return StepResult(split, _instead(spec, old, new), True, note)


def _end_at(model: Any, tensor: str, stride: float, layout: str) -> str:
    """Makes the raw head an output called `head_<stride>`; gives that name."""
    import onnx

    name = surgery.fresh_name(model, f"head_{stride:g}")
    if layout == "NHWC":
        node = onnx.helper.make_node("Transpose", [tensor], [name], name=name, perm=[0, 2, 3, 1])
        model.graph.node.append(node)
    else:
        made = surgery.producers(model)[tensor]
        surgery.rewire(model, tensor, name)
        made.output[list(made.output).index(tensor)] = name
    return name


def _port_infos(
    model: Any, split: Any, tensors: Sequence[str | tuple[str, str]], roles: list[str], layout: str
) -> list[Any]:
    """Output descriptions, with shapes as ONNX infers them (the batch may be open)."""
    import onnx

    known = surgery.shapes(model)
    image = surgery.inputs(split)[0]
    batch = image.type.tensor_type.shape.dim[0].dim_param
    ports = []
    for tensor, role in zip(tensors, roles, strict=True):
        shape = _joined([known.get(name, (None,) * 4) for name in ([tensor] if isinstance(tensor, str) else tensor)])
        if layout == "NHWC":
            shape = (shape[0], shape[2], shape[3], shape[1])
        if shape[0] is None and batch:
            shape = (batch, *shape[1:])
        ports.append(onnx.helper.make_tensor_value_info(role, image.type.tensor_type.elem_type, shape))
    return ports


def _joined(shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | str | None, ...]:
    """The shape of tensors side by side over channels."""
    channels = [shape[1] for shape in shapes]
    total = sum(n for n in channels if n is not None) if None not in channels else None
    return (shapes[0][0], total, *shapes[0][2:])


def _instead(spec: TaskSpec, old: Step, new: Step) -> TaskSpec:
    return replace(spec, postprocess=tuple(new if step == old else step for step in spec.postprocess))
