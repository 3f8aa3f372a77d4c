"""The Chrome trace: the structure that Perfetto and chrome://tracing read."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from edgewright.core.profile import Profile
from edgewright.report.trace import chrome_trace, write_trace


def test_every_event_has_what_its_phase_needs(profile: Profile) -> None:
    events = chrome_trace(profile)["traceEvents"]
    needs = {"X": {"name", "cat", "ts", "dur", "pid", "tid"}, "M": {"name", "pid", "args"}, "C": {"name", "ts", "args"}}
    for event in events:
        assert needs[event["ph"]] <= set(event)
    assert [e["ph"] for e in events].count("X") == len(profile.timeline)
    assert [e["ph"] for e in events].count("C") == len(profile.memory)


def test_each_track_is_a_named_thread(profile: Profile) -> None:
    events = chrome_trace(profile)["traceEvents"]
    threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert threads == {1: "compute", 2: "second"}
    assert {e["tid"] for e in events if e["ph"] == "X"} == {1, 2}


def test_file_is_json_with_finite_numbers(profile: Profile, tmp_path: Path) -> None:
    text = write_trace(profile, tmp_path / "trace.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=lambda constant: math.nan)
    assert "NaN" not in text and data["displayTimeUnit"] == "ms"


def test_without_a_timeline_no_span_is_made_up(profile: Profile) -> None:
    events = chrome_trace(replace(profile, timeline=(), memory=()))["traceEvents"]
    assert {e["ph"] for e in events} == {"M"}


def test_simulated_is_said(profile: Profile) -> None:
    trace = chrome_trace(replace(profile, simulated=True))
    assert trace["otherData"]["simulated"] is True
    assert "simulated" in trace["traceEvents"][0]["args"]["name"]
