"""What ran on the device and when, whichever file tells it: tasks, and how a request's time divides over them.

Times are whole nanoseconds here. A task is a copy between memories, a kernel, or one of the runtime's own marks
(PROFILING_ENABLE, EVENT_WAIT, …), which are known by these words or by bearing no name but their type's, and count as
neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgewright.targets.cann.captures.table import NOTHING, Table, moment, number

COMPUTE, INTO, OUT, TRANSFER, IDLE = "compute", "host_to_device", "device_to_host", "transfer", "idle"
"""Phases. `transfer`: a copy whose direction the file does not tell."""

MAX_TASKS = 1_000_000
_COPY = re.compile(r"MEMCPY|PCIE_DMA|(^|_)SDMA", re.IGNORECASE)
_MARK = re.compile(r"(PROFILING|TASK_TIMEOUT|EVENT|NOTIFY|STREAM|MODEL|LABEL|MAINTENANCE|PLACE_HOLDER)(_|$)")


@dataclass(frozen=True)
class Task:
    """`name` is the kernel's, `type` the engine's or the runtime's word, `operation` a copy's direction if told."""

    name: str
    type: str
    start_ns: int
    duration_ns: int
    stream: str = ""
    operation: str = ""

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.duration_ns

    @cached_property
    def phase(self) -> str:
        """COMPUTE, a kind of copy, or "" for the runtime's own marks."""
        if _COPY.search(self.type) or _COPY.search(self.name):
            told = self.operation.lower()
            if told.startswith("device to device"):
                return COMPUTE
            return INTO if told.startswith("host to device") else OUT if told.startswith("device to host") else TRANSFER
        unnamed = self.name.upper() in NOTHING or self.name == self.type
        return "" if unnamed or _MARK.match(self.type) or _MARK.match(self.name) else COMPUTE


def read(table: Table, device: str) -> tuple[Task, ...]:
    """task_time: every task of one device ("" for all). InputError without names, types or times."""
    kind = table.require("kernel_type", "Task Type")
    start = table.require("task_start(us)", "task_start", "Task Start(us)")
    spent = table.require("task_time(us)", "task_time", "Task Time(us)")
    name, stream = table.require("kernel_name", "Kernel Name"), table.first("stream_id", "Stream ID")
    where = table.first("Device_id", "Device ID")
    found: list[Task] = []
    for row in table.rows():
        if device and where and row[where] != device:
            continue
        begun, duration = moment(table, row, start), number(table, row, spent)
        if begun is None or duration is None:
            raise table.damaged(f"a row of type '{row[kind][:60]}' has no time")
        if len(found) == MAX_TASKS:
            raise table.damaged(f"it has over {MAX_TASKS} tasks")
        found.append(Task(row[name], row[kind], begun, round(duration * 1000), row.get(stream, "")))
    return tuple(found)


@dataclass(frozen=True)
class Division:
    """How the stretch from the first task to the last divides, in nanoseconds; the parts add up to `extent`."""

    extent: int
    parts: dict[str, int]


def divide(tasks: Sequence[Task]) -> Division | None:
    """Copies count only where no kernel ran beside them. None where there is nothing to divide."""
    working = [task for task in tasks if task.phase]
    if not working:
        return None
    extent = max(t.end_ns for t in working) - min(t.start_ns for t in working)
    parts: dict[str, int] = {}
    covered: list[tuple[int, int]] = []
    before = 0
    for phase in (COMPUTE, INTO, OUT, TRANSFER):
        covered = _union([*covered, *((t.start_ns, t.end_ns) for t in working if t.phase == phase)])
        now = sum(end - start for start, end in covered)
        parts[phase] = now - before
        before = now
    parts[IDLE] = extent - before
    return Division(extent, {phase: length for phase, length in parts.items() if length or phase == COMPUTE})


def _union(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
