"""Which findings a capture cannot support, and what to record so that it can: sentences for a profile's notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgewright.core.profile import Operator
from edgewright.targets.cann.captures.groups import Capture

_AGAIN = {
    "msprof": "record with `msprof --ai-core=on --aic-metrics=PipeUtilization`",
    "torch_npu": "record at ProfilerLevel.Level1 with AiCMetrics.PipeUtilization",
}


def unsupported(
    capture: Capture, *, operators: Sequence[Operator], timed: bool, phases: Mapping[str, float], directions: bool
) -> Iterator[str]:
    """One sentence for each finding, or family of findings, that the files cannot bear, with the reason."""
    again = _AGAIN[capture.tool]
    if not operators:
        yield "Not supported: every finding about operators; there is neither op_summary, kernel_details nor a trace."
    else:
        yield from _about_operators(operators, again)
    if not timed and "idle" not in phases:
        yield "Not supported: gaps; no file holds start times (task_time, a trace, op_summary or kernel_details do)."
    if not ({"timeline", "task_time"} & set(capture.files)):
        yield "Not supported: transfers; copies between host and device stand in task_time and in the trace only."
    elif directions:
        yield "The files do not tell which way the copies went."
    yield (
        "Not supported by any capture: input_preparation and output_processing (they run outside the device), "
        "utilisation and quantisation_potential (they need the device's measured peaks)."
    )


def _about_operators(operators: Sequence[Operator], again: str) -> Iterator[str]:
    if not any("mac_ratio" in operator.counters for operator in operators):
        yield f"Not supported: slow convolutions by mac ratio; there are no pipe counters: {again}."
    if not any(operator.bound or "mte2_ratio" in operator.counters for operator in operators):
        yield f"Not supported: memory_bound; there are neither mte2 ratios nor a memory_bound column: {again}."
    if not any(operator.outputs for operator in operators):
        yield "Not supported: int8_tolerance, and operations and bytes of operators; there are no shapes."
    if not any(operator.dtype for operator in operators):
        yield "Not supported: float_in_int8; there are no data types."
    if not any(operator.kernel for operator in operators):
        yield "Not supported: cpu_fallback; no file tells on which core an operator ran."
