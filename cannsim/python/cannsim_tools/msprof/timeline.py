"""msprof_<ts>.json: the Chrome trace of a recording, `ts` as text as the vendor writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .record import Record
from .tables import core_type

HOST, DEVICE, OVERLAP = 1, 2, 3


def write_timeline(record: Record, folder: Path, stamp: str) -> Path:
    events: list[dict[str, Any]] = []
    for pid, name in ((HOST, "CANN"), (DEVICE, "Ascend Hardware"), (OVERLAP, "Overlap Analysis")):
        events.append({"name": "process_name", "pid": pid, "tid": 0, "ph": "M", "args": {"name": name}})
        label = {"labels": "simulated (cannsim)"}
        events.append({"name": "process_labels", "pid": pid, "tid": 0, "ph": "M", "args": label})
    for api in record.apis:
        mark = {"Thread Id": api.thread, "Mode": "ACL_RTS", "level": "acl"}
        events.append(_event(f"AscendCL@{api.name}", HOST, api.thread, api.start, api.duration, mark))
    end: float | None = None
    for op in record.ops:
        args = {
            "Model Id": op.model, "Task Type": core_type(record, op), "Physic Stream Id": op.stream, "Task Id": op.task,
            "Batch Id": 0, "Subtask Id": 4294967295, "connection_id": op.task,
        }  # fmt: skip
        events.append(_event(op.name, DEVICE, op.stream, op.start, op.duration, args))
        events.append(_event("Computing", OVERLAP, 2, op.start, op.duration, {}))
        if end is not None and op.start > end:
            events.append(_event("Free", OVERLAP, 3, end, op.start - end, {}))
        end = op.start + op.duration
    path = folder / f"msprof_{stamp}.json"
    path.write_text(json.dumps(events, separators=(",", ":")))
    return path


def _event(name: str, pid: int, tid: int, start: float, duration: float, args: dict[str, Any]) -> dict[str, Any]:
    times = {"ts": f"{start:.3f}", "dur": round(duration, 3)}
    return {"name": name, "pid": pid, "tid": tid, **times, "ph": "X", "args": args}
