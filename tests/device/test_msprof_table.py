"""op_summary tables, real ones and such as nobody wrote: read by name, or refused, never wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.device import msprof_table
from edgewright.device.ascend_profile import account
from edgewright.device.service import ServiceError

HEAD = ["Op Name", "OP Type", "Task Type", "Task Start Time(us)", "Task Duration(us)", "Input Shapes"]
HEAD += ["Input Data Types", "Output Shapes"]
ROWS = [
    ["data", "TransData", "AI_CORE", "1778463028574314.896\t", "4.0\t", '"1,3,8,8"', "FLOAT16", '"1,1,8,8,16"'],
    ["conv", "Conv2D", "AI_CORE", "1778463028574319.100\t", "30.5", '"1,3,8,8;8,3,3,3;8"', "INT8;INT8;INT32", "N/A"],
    ["relu", "Relu", "AI_CORE", "1778463028574350.000\t", "10.0", '"1,8,8,8"', "FLOAT16", '"1,8,8,8"'],
    ["odd", "Strange", "AI_CPU", "N/A", "N/A", "N/A", "N/A", "N/A"],
]


def table(folder: Path, rows: list[list[str]], head: list[str] = HEAD, mark: str = "") -> list[str]:
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    path = folder / "op_summary_1.csv"
    path.write_bytes((mark + text.getvalue()).encode())
    return [str(path)]


def test_a_real_table_is_read(shared_dir):
    (path,) = (shared_dir / "captures/cann").glob("msprof_op_summary_*.csv")
    rows = msprof_table.read([str(path)])
    assert len(rows) > 3 and all(row.duration > 0 and row.start for row in rows)
    assert {"Cast"} <= {row.type for row in rows if not row.computes}
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert len(rows) == sum(1 for _ in csv.reader(file)) - 1


def test_shares_go_by_time_and_by_the_first_inputs_type_without_conversions(tmp_path):
    rows = msprof_table.read(table(tmp_path, ROWS, mark="\ufeff"))
    found = msprof_table.precisions(rows)
    assert found["precisions"] == {"int8": pytest.approx(30.5 / 40.5), "fp16": pytest.approx(10 / 40.5)}
    assert found["ops"] == {"int8": 1, "fp16": 1}


def test_columns_are_found_by_name_in_any_order_and_under_their_older_names(tmp_path):
    order = [4, 2, 0, 7, 1, 3, 6, 5]
    older = [{"Task Start Time(us)": "Task Start Time"}.get(name, name) for name in HEAD]
    rows = msprof_table.read(table(tmp_path, [[r[i] for i in order] for r in ROWS[:3]], [older[i] for i in order]))
    assert [(r.name, r.duration, r.dtype, r.inputs) for r in rows] == [
        ("data", 4.0, "fp16", [[1, 3, 8, 8]]),
        ("conv", 30.5, "int8", [[1, 3, 8, 8], [8, 3, 3, 3], [8]]),
        ("relu", 10.0, "fp16", [[1, 8, 8, 8]]),
    ]
    assert float(rows[1].start - rows[0].start) == pytest.approx(4.204, abs=1e-9)


def test_operators_are_per_inference_and_one_run_stands_for_all(tmp_path):
    twice = [[*r[:3], str(float(r[3]) + 100 * k), *r[4:]] for k in range(2) for r in ROWS[:3]]
    del twice[3]  # a task too short to be timed
    rows = msprof_table.read(table(tmp_path, twice))
    told = account(rows, [], {"host_to_device": 5, "execute": 60, "device_to_host": 3}, 2, {"weight_bytes": 7})
    assert [(o["name"], o["duration_us"], o["calls"]) for o in told["operators"]] == [
        ("data", 2.0, 1), ("conv", 30.5, 1), ("relu", 10.0, 1),
    ]  # fmt: skip
    assert [s["name"] for s in told["timeline"]] == ["host_to_device", "data", "conv", "relu", "device_to_host"]
    assert told["timeline"][1]["start_us"] == 5
    assert told["memory"][-1]["bytes"] == 7


def test_runs_that_cannot_be_told_apart_leave_the_copies_and_a_note(tmp_path):
    rows = msprof_table.read(table(tmp_path, ROWS[:3]))
    told = account(rows, [], {"host_to_device": 5, "device_to_host": 3}, 4, {})
    assert [s["name"] for s in told["timeline"]] == ["host_to_device", "device_to_host"]
    assert any("cannot be told" in note for note in told["notes"])


def test_what_is_no_such_table_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ServiceError, match="no columns"):
        msprof_table.read(table(tmp_path, ROWS, ["x"] * len(HEAD)))
    monkeypatch.setattr(msprof_table, "MAX_ROWS", 2)
    with pytest.raises(ServiceError, match="more than 2 rows"):
        msprof_table.read(table(tmp_path, ROWS))
    monkeypatch.setattr(msprof_table, "MAX_BYTES", 10)
    with pytest.raises(ServiceError, match="larger"):
        msprof_table.read(table(tmp_path, ROWS))


@given(data=st.data())
def test_a_damaged_table_is_read_or_refused(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    (path,) = map(Path, table(folder, ROWS))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        rows = msprof_table.read([str(path)])
    except ServiceError:
        return
    found = msprof_table.precisions(rows)
    assert not found["precisions"] or sum(found["precisions"].values()) == pytest.approx(1)
    account(rows, [], {}, 1, {})
