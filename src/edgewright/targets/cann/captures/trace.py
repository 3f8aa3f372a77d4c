"""Timelines: msprof_*.json and trace_view.json.

Process names tell what an event is: "Ascend Hardware" ran on the device, "CANN" and "Python" on the host; flows,
counters and the profiler's own "Overlap Analysis" (which repeats the others) are passed over. `ts` is text in some
versions and a number in others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.targets.cann.captures.table import damaged, nanoseconds
from edgewright.targets.cann.captures.tasks import MAX_TASKS, Task
from edgewright.targets.cann.captures.trace_events import events

MAX_HOST = 20_000
"""Host calls kept; the device's tasks are all kept."""

_PHASES = frozenset("BEXiICbnestfPNODSTpFMVvRc()")
"""Kinds of events of the format; one that is none of them was damaged, and might have been a task."""
HARDWARE, HOST = "Ascend Hardware", ("CANN", "Python")
WAITING_COPIES = ("AscendCL@aclrtMemcpy", "AscendCL@aclrtMemcpy2d")


@dataclass(frozen=True)
class Trace:
    """`host` are calls on the CPU (their `type` is the process); `copies` those among them that copy while the host
    waits, which leave no task on the device; `steps` counts the ProfilerStep marks; `labels` are "NPU 0"…"""

    tasks: tuple[Task, ...]
    host: tuple[Task, ...]
    copies: tuple[Task, ...]
    host_left_out: int
    steps: int
    labels: tuple[str, ...]


def read(path: Path, device: str = "") -> Trace:
    """The trace of a file; with `device`, only what ran on that NPU. InputError where the file is cut or no trace."""
    names, labels = _processes(path)
    found = _Found()
    for event in events(path):
        if event.get("ph") != "X":
            continue
        process = names.get(event["pid"], "")
        label = labels.get(event["pid"], "")
        if process == HARDWARE:
            if not (device and label.startswith("NPU ") and label != f"NPU {device}"):
                found.tasks.append(_task(path, event, str(_args(event).get("Task Type", ""))))
        elif process in HOST:
            _add_host_call(found, path, event, process)
        if len(found.tasks) + len(found.copies) > MAX_TASKS:
            raise damaged(path, f"it has over {MAX_TASKS} tasks")
    of_hardware = sorted(label for pid, label in labels.items() if names.get(pid) == HARDWARE)
    return Trace(
        tuple(found.tasks),
        tuple(found.host),
        tuple(found.copies),
        found.left_out,
        found.steps,
        tuple(dict.fromkeys(of_hardware)),
    )


def labels_of(path: Path) -> tuple[str, ...]:
    """The labels of the Ascend devices in a trace: "NPU 0" …"""
    names, labels = _processes(path)
    return tuple(sorted({label for pid, label in labels.items() if names.get(pid) == HARDWARE}))


def is_ascend(path: Path) -> bool:
    """Whether a JSON of any name is a trace with an Ascend device in it; False for every other file."""
    try:
        return HARDWARE in _processes(path)[0].values()
    except InputError:
        return False


@dataclass
class _Found:
    tasks: list[Task] = field(default_factory=list)
    host: list[Task] = field(default_factory=list)
    copies: list[Task] = field(default_factory=list)
    left_out: int = 0
    steps: int = 0


def _processes(path: Path) -> tuple[dict[Any, str], dict[Any, str]]:
    """Names and labels of the processes, from a reading of their own: they may come after the events they name."""
    names: dict[Any, str] = {}
    labels: dict[Any, str] = {}
    for event in events(path):
        kind, pid, args = event.get("ph"), event.get("pid"), _args(event)
        if not isinstance(pid, (int, str)) and (kind == "X" or pid is not None):
            raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no process")
        if kind == "M" and event.get("name") == "process_name":
            names[pid] = str(args.get("name", ""))
        elif kind == "M" and event.get("name") == "process_labels":
            labels[pid] = str(args.get("labels", ""))
        elif not isinstance(kind, str) or kind not in _PHASES:
            raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no known phase")
    return names, labels


def _add_host_call(found: _Found, path: Path, event: Mapping[str, Any], process: str) -> None:
    name = str(event.get("name", ""))
    found.steps += name.startswith("ProfilerStep#")
    if name in WAITING_COPIES:
        found.copies.append(replace(_task(path, event, "MEMCPY"), stream="copies"))
    if len(found.host) < MAX_HOST:
        found.host.append(_task(path, event, process))
    else:
        found.left_out += 1


def _args(event: Mapping[str, Any]) -> Mapping[str, Any]:
    args = event.get("args")
    return args if isinstance(args, dict) else {}


def _task(path: Path, event: Mapping[str, Any], kind: str) -> Task:
    start, duration = _ns(event.get("ts")), _ns(event.get("dur"))
    if start is None or duration is None:
        raise damaged(path, f"the event '{str(event.get('name'))[:60]}' has no time")
    args = {str(key).lower(): value for key, value in _args(event).items()}
    stream = args.get("physic stream id", event.get("tid", ""))
    return Task(str(event.get("name", "")), kind, start, duration, str(stream), str(args.get("operation", "")))


def _ns(value: Any) -> int | None:
    if isinstance(value, str):
        return nanoseconds(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not 0 <= value < 10**19:
        return None
    return int(value * 1000)
