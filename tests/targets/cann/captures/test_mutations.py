"""Every recorded capture, mutated: read with the numbers that are there, or refused; never read wrongly in silence.

A digit put into a number, or a line taken away whole, leaves a file that nobody could tell from a good one by itself
(op_statistic tells the second, see test_variants): such mutations are not made here.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.core.profile import Profile
from edgewright.targets.cann.captures import read

CAPTURES = (
    "kernel_details_small.csv",
    "msprof_api_statistic_20260511093035.csv",
    "msprof_op_statistic_20260511093035.csv",
    "msprof_op_summary_20260511093035.csv",
    "msprof_task_time_20260511093035.csv",
    "pt_level1_memory_record.csv",
    "pt_level1_operator_memory.csv",
    "pt_level1_step_trace_time.csv",
    "pt_standalone_kernel_details.csv",
    "pt_standalone_op_statistic.csv",
    "pt_standalone_operator_details.csv",
    "pt_standalone_step_trace_time.csv",
)
TRACES = ("msprof_timeline_20260511093035.json", "pt_standalone_trace_view.json")
JUNK = b'\x00\x01\x07\x1b\x80\xc3\xff\xfeqXe";{}[]\\'
"""Bytes that damage leaves; no digits, signs or points, which could make one number another."""
SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture(params=CAPTURES)
def table(request: pytest.FixtureRequest, shared_dir: Path) -> Path:
    return shared_dir / "captures" / "cann" / request.param


@pytest.fixture(params=TRACES)
def timeline(request: pytest.FixtureRequest, shared_dir: Path) -> Path:
    return shared_dir / "captures" / "cann" / request.param


def numbers(profile: Profile | None) -> dict[str, Any]:
    """All that is measured, in sums over the whole capture, so that neither order nor steps count."""
    if profile is None:
        return {}
    spent: dict[str, float] = defaultdict(float)
    for operator in profile.operators:
        spent[operator.type] += operator.duration_us * profile.iterations
    held = sorted(point.bytes for point in profile.memory)
    device = [span for span in profile.timeline if not span.track.startswith("host")]
    return {
        "operators": {kind: round(value, 3) for kind, value in spent.items()},
        "held": held,
        "spans": sorted(round(span.duration_us, 3) for span in device),
        "phases": {name: round(value * profile.iterations, 3) for name, value in profile.phases.items()},
        "notes": sorted(note for note in profile.notes if "longest calls" in note or "own work" in note),
    }


def first(path: Path) -> Profile | None:
    found = read(path)
    assert found is None or len(found) == 1
    return found[0] if found else None


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def written(folder: Path, name: str, rows: list[list[str]]) -> Path:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    path = folder / name
    path.write_text(out.getvalue(), newline="")
    return path


def is_part(found: Any, whole: Any) -> bool:
    """Whether every number found is one of the whole's: equal, or left out."""
    if isinstance(found, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in found.items())
    if isinstance(found, list):
        left = list(whole)
        return all(item in left and (left.remove(item) or True) for item in found)
    return found == whole


@SLOW
@given(data=st.data())
def test_reordered_columns_change_nothing(table: Path, tmp_path: Path, data: st.DataObject) -> None:
    rows = rows_of(table.read_bytes())
    order = data.draw(st.permutations(range(len(rows[0]))))
    shuffled = written(tmp_path, table.name, [[row[i] for i in order] for row in rows])
    assert numbers(first(shuffled)) == numbers(first(table))


@SLOW
@given(data=st.data())
def test_missing_or_renamed_columns_are_refused_or_leave_the_rest_equal(
    table: Path, tmp_path: Path, data: st.DataObject
) -> None:
    rows = rows_of(table.read_bytes())
    hit = data.draw(st.sets(st.integers(0, len(rows[0]) - 1), min_size=1, max_size=4))
    if data.draw(st.booleans()):
        changed = [[name + " old" if i in hit else name for i, name in enumerate(rows[0])], *rows[1:]]
    else:
        changed = [[cell for i, cell in enumerate(row) if i not in hit] for row in rows]
    try:
        found = numbers(first(written(tmp_path, table.name, changed)))
    except InputError as refused:
        assert table.name in refused.message
        return
    whole = numbers(first(table))
    assert found["operators"] == whole["operators"]
    found.pop("phases" if not found["spans"] else "", None)
    assert is_part({key: value for key, value in found.items() if value}, whole)


@SLOW
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused_or_read_as_far_as_it_goes(
    table: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = table.read_bytes()
    cut = tmp_path / table.name
    cut.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        found = numbers(first(cut))
    except InputError as refused:
        assert table.name in refused.message
        return
    width = len(rows_of(whole)[0])
    kept = [row for row in rows_of(cut.read_bytes()) if row]
    assert all(len(row) == width for row in kept), "a row that lost cells was read"
    assert kept[:-1] == rows_of(whole)[: len(kept) - 1]
    if not cut.read_bytes().endswith(b"\n"):
        kept[-1][-1] = ""
    again = tmp_path / "again"
    again.mkdir(exist_ok=True)
    assert found == numbers(first(written(again, table.name, kept)))


@SLOW
@given(data=st.data())
def test_junk_in_a_table_is_refused_or_touches_no_number(table: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = table.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    junk = bytes(data.draw(st.lists(st.sampled_from(sorted(JUNK)), min_size=1, max_size=3)))
    path = tmp_path / table.name
    path.write_bytes(whole[:at] + junk + whole[at:])
    try:
        found = numbers(first(path))
    except InputError as refused:
        assert table.name in refused.message
        return
    good = numbers(first(table))
    assert sum(found["operators"].values()) == pytest.approx(sum(good["operators"].values()), abs=0.01)
    assert is_part(found["held"], good["held"])
    assert is_part(found["spans"], good["spans"])


@SLOW
@given(data=st.data())
def test_events_in_any_order_are_the_same_trace(timeline: Path, tmp_path: Path, data: st.DataObject) -> None:
    events = json.loads(timeline.read_text())
    data.draw(st.randoms(use_true_random=False)).shuffle(events)
    path = tmp_path / timeline.name
    path.write_text(json.dumps({"traceEvents": events} if data.draw(st.booleans()) else events))
    assert numbers(first(path)) == numbers(first(timeline))


@SLOW
@given(data=st.data())
def test_a_cut_trace_is_refused(timeline: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = timeline.read_bytes().rstrip()
    path = tmp_path / timeline.name
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match="damaged"):
        read(path)


@SLOW
@given(data=st.data())
def test_junk_in_a_trace_is_refused_or_touches_no_time(timeline: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = timeline.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    junk = bytes(data.draw(st.lists(st.sampled_from(sorted(JUNK)), min_size=1, max_size=3)))
    path = tmp_path / timeline.name
    path.write_bytes(whole[:at] + junk + whole[at:])
    try:
        found = numbers(first(path))
    except InputError as refused:
        assert timeline.name in refused.message
        return
    good = numbers(first(timeline))
    assert sum(found["operators"].values()) == pytest.approx(sum(good["operators"].values()), abs=0.01)
    assert found["phases"] == good["phases"] and found["spans"] == good["spans"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([*CAPTURES, *TRACES]), content=st.binary(max_size=300))
def test_any_bytes_under_a_capture_s_name_are_refused_or_read(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        read(path)
    except InputError as refused:
        assert name in refused.message and refused.remedy
