"""A profile's timeline as Chrome trace JSON, which https://ui.perfetto.dev and chrome://tracing open.

Format: "Trace Event Format" (Google, 2016): complete events ("X") with ts and dur in microseconds, metadata
events ("M") that name processes and threads, counters ("C") for memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Profile

PROCESS = 1


def chrome_trace(profile: Profile) -> dict[str, Any]:
    """The trace as a JSON object. A profile without a timeline gives one without spans: none is made up."""
    tracks = list(dict.fromkeys(span.track for span in profile.timeline))
    label = f"{profile.tool} {profile.precision} on {profile.device}" + (" (simulated)" if profile.simulated else "")
    events: list[dict[str, Any]] = [_metadata("process_name", 0, label)]
    events += [_metadata("thread_name", tracks.index(track) + 1, track) for track in tracks]
    known = {operator.name: operator for operator in profile.operators}
    for span in profile.timeline:
        operator = known.get(span.name)
        args = {"type": operator.type, "dtype": operator.dtype, "kernel": operator.kernel} if operator else {}
        events.append(
            {
                "name": span.name,
                "cat": kind_of(span.category) if span.category else "operator",
                "ph": "X",
                "ts": span.start_us,
                "dur": span.duration_us,
                "pid": PROCESS,
                "tid": tracks.index(span.track) + 1,
                "args": {"category": span.category, **args},
            }
        )
    for point in profile.memory:
        counter = {"name": "memory", "ph": "C", "ts": point.time_us, "pid": PROCESS, "args": {"bytes": point.bytes}}
        events.append(counter)
    about = {"tool": profile.tool, "device": profile.device, "precision": profile.precision}
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {**about, "simulated": profile.simulated}}


def write_trace(profile: Profile, out: Path) -> Path:
    """Writes the trace as a JSON file and gives its path."""
    out.write_text(json.dumps(chrome_trace(profile), ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return out


def _metadata(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": PROCESS, "tid": thread, "args": {"name": name}}
