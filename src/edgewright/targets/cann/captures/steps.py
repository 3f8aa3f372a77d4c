"""Steps: step_trace_time (torch_npu: where each step's time went) and step_trace (msprof: iterations of an .om)."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.targets.cann.captures.table import Table, number
from edgewright.targets.cann.captures.tasks import COMPUTE, IDLE

COMMUNICATION = "communication"
_PARTS = {
    COMPUTE: ("Computing",),
    COMMUNICATION: ("Communication(Not Overlapped)",),
    IDLE: ("Free",),
}


@dataclass(frozen=True)
class Steps:
    """Means over `count` steps, microseconds. `parts` is empty for msprof's iterations, which only have a length."""

    count: int
    total_us: float
    parts: dict[str, float]


def read_step_trace_time(table: Table, device: str) -> Steps:
    """InputError where a part of the step is missing: the parts must add up to the step."""
    columns = {phase: table.require(*names) for phase, names in _PARTS.items()}
    where = table.first("Device_id", "Device ID")
    rows = [row for row in table.rows() if not (device and where and row[where] != device)]
    if not rows:
        raise table.damaged("it has no step")
    sums = {phase: sum(number(table, row, column) or 0.0 for row in rows) for phase, column in columns.items()}
    parts = {phase: total / len(rows) for phase, total in sums.items()}
    kept = {phase: value for phase, value in parts.items() if value > 0 or phase == COMPUTE}
    return Steps(len(rows), sum(parts.values()), kept)


def read_step_trace(table: Table, device: str) -> Steps:
    """Rows without a time (an iteration that was not finished) do not count."""
    column = table.require("Iteration Time(us)", "Iteration Time")
    where = table.first("Device_id", "Device ID")
    rows = [row for row in table.rows() if not (device and where and row[where] != device)]
    times = [value for row in rows if (value := number(table, row, column)) is not None]
    if not times:
        raise table.damaged("it has no iteration")
    return Steps(len(times), sum(times) / len(times), {})
