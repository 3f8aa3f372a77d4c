"""What the device's profiler and our own clock saw, in core.profile's terms."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from edgewright.device.msprof_table import Row, one_inference, operators

INTO, OUT = "host_to_device", "device_to_host"


def account(
    rows: Sequence[Row], notes: Sequence[str], phases: Mapping[str, float], runs: int, memory: Mapping[str, int]
) -> Dict[str, Any]:
    """{"tool", "operators", "timeline", "memory", "phases", "notes"} of `runs` runs.

    `phases`: mean microseconds of a run by our clock; `memory`: weight_bytes, work_bytes, buffer_bytes.
    """
    chosen = one_inference(rows, runs)
    told = list(notes)
    if rows and not chosen:
        told.append("The tasks of one run cannot be told from those of the next: the timeline has the copies only.")
    told.append(
        "Memory is what aclmdlQuerySize asks for weights and working memory, and the buffers of inputs and outputs."
    )
    return {
        "tool": "msprof",
        "operators": operators(rows, runs),
        "timeline": _timeline(chosen, phases),
        "memory": _memory(memory),
        "phases": {name: micros for name, micros in phases.items() if name != "execute"},
        "notes": told,
    }


def _timeline(rows: Sequence[Row], phases: Mapping[str, float]) -> List[Dict[str, Any]]:
    """Copies by our clock, around the tasks at the distances that the profiler saw between them."""
    clock = phases.get(INTO, 0.0)
    spans = [_span(INTO, INTO, 0.0, clock, "transfer")]
    first = rows[0].start or 0 if rows else 0
    end = clock + phases.get("execute", 0.0)
    for row in rows:
        start = clock + float((row.start or 0) - first)
        spans.append(_span(row.name, row.type, start, row.duration, "compute"))
        end = max(end, start + row.duration)
    spans.append(_span(OUT, OUT, end, phases.get(OUT, 0.0), "transfer"))
    return spans


def _span(name: str, category: str, start: float, duration: float, track: str) -> Dict[str, Any]:
    return {"name": name, "category": category, "start_us": start, "duration_us": duration, "track": track}


def _memory(memory: Mapping[str, int]) -> List[Dict[str, Any]]:
    """Bytes held at the start of a run, growing by each owner: nothing is allocated or freed while it runs."""
    points, held = [], 0
    for key, owner in (("weight_bytes", "weights"), ("work_bytes", "workspace"), ("buffer_bytes", "buffers")):
        held += memory.get(key, 0)
        points.append({"time_us": 0.0, "bytes": held, "owner": owner})
    return points
