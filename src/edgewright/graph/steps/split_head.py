"""split_head: a detector's graph ends at its raw heads; decoding is left to the post-processing.

Why: scores (0–1) and coordinates (0–640) that meet in one Concat share one INT8 scale, which rounds every score to
nothing; and the decode computes all 25,200 boxes where the device needs only the few over the threshold.
Before: the task decodes a `yolov5_flat` or `yolov8_flat` output. After: outputs `head_<stride>` (or `boxes` and
`scores`), and post-processing that gives the same boxes; other outputs are gone. Undecoded graphs are left as they are.
`layout: NHWC` adds the transpose that lets a channels-last runtime hand out its heads without reordering them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph import surgery, yolov5_head
from edgewright.graph.step import StepResult
from edgewright.graph.yolov5_head import Level, NotThisHead


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    flat = [step for step in spec.postprocess if step.kind in ("yolov5_flat", "yolov8_flat")]
    if not flat:
        return StepResult(model, spec, False, "nothing is decoded in the graph")
    output = _decoded_output(model, str(flat[0].params.get("role", "")))
    if output is None:
        return StepResult(model, spec, False, "no output has the shape of decoded boxes")
    try:
        if flat[0].kind == "yolov5_flat":
            return _split_yolov5(model, spec, flat[0], output, str(params.get("layout", "NCHW")))
        return _split_yolov8(model, spec, flat[0], output)
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
    before = len(split.graph.node)
    roles = [_end_at(split, level, layout) for level in levels]
    outputs = _port_infos(model, split, levels, roles, layout)
    surgery.replace(split.graph.output, outputs)
    surgery.prune(split)
    heads = Step(
        "yolov5_heads",
        {
            "roles": roles,
            "strides": [level.stride for level in levels],
            "anchors": [[list(pair) for pair in level.anchors] for level in levels],
            "layout": layout,
        },
    )
    strides = ", ".join(f"{level.stride:g}" for level in levels)
    note = f"cut at {len(levels)} raw heads (strides {strides}), {before} → {len(split.graph.node)} nodes"
    return StepResult(split, _instead(spec, step, heads), True, note)


def _end_at(model: Any, level: Level, layout: str) -> str:
    """Makes the raw head an output called `head_<stride>`; gives that name."""
    import onnx

    name = surgery.fresh_name(model, f"head_{level.stride:g}")
    kind, options = ("Identity", {}) if layout == "NCHW" else ("Transpose", {"perm": [0, 2, 3, 1]})
    if layout == "NCHW":
        made = surgery.producers(model)[level.tensor]
        surgery.rewire(model, level.tensor, name)
        made.output[list(made.output).index(level.tensor)] = name
    else:
        model.graph.node.append(onnx.helper.make_node(kind, [level.tensor], [name], name=name, **options))
    return name


def _port_infos(model: Any, split: Any, levels: tuple[Level, ...], roles: list[str], layout: str) -> list[Any]:
    """Output descriptions, with shapes as ONNX infers them (the batch may be open)."""
    import onnx

    known = surgery.shapes(model)
    image = surgery.inputs(split)[0]
    ports = []
    for level, role in zip(levels, roles, strict=True):
        shape: tuple[int | str | None, ...] = known.get(level.tensor, (None,) * 4)
        if layout == "NHWC":
            shape = (shape[0], shape[2], shape[3], shape[1])
        if shape[0] is None and image.type.tensor_type.shape.dim[0].dim_param:
            shape = (image.type.tensor_type.shape.dim[0].dim_param, *shape[1:])
        ports.append(onnx.helper.make_tensor_value_info(role, image.type.tensor_type.elem_type, shape))
    return ports


def _split_yolov8(model: Any, spec: TaskSpec, step: Step, output: str) -> StepResult:
    raise NotThisHead("not yet")


def _instead(spec: TaskSpec, old: Step, new: Step) -> TaskSpec:
    return replace(spec, postprocess=tuple(new if step == old else step for step in spec.postprocess))
