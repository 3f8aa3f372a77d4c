"""Variants of the files that CANN's versions and chips write, made up from the fact sheet's columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright import findings
from edgewright.core.errors import InputError
from edgewright.core.facts import Facts
from edgewright.targets.cann.captures import read

T0 = 1778463028574314


def write(path: Path, header: str, *rows: str, bom: bool = False, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + (end.join([header, *rows]) + end).encode())
    return path


def only(path: Path):
    found = read(path)
    assert found and len(found) == 1
    return found[0]


ONE_CORE = (
    "Model Name,Model ID,Task ID,Stream ID,Infer ID,Op Name,OP Type,Task Type,Task Start Time(us),Task Duration(us),"
    "Block Dim,Input Shapes,Input Data Types,Input Formats,Output Shapes,Output Data Types,Output Formats,"
    "total_cycles,vec_time(us),vec_ratio,mac_time(us),mac_ratio,mte2_ratio,memory_bound"
)


def test_one_core_chips_columns_and_fractal_shapes(tmp_path: Path) -> None:
    """310P and 310B: mac_ratio without aic_, a memory_bound column, an Infer ID, vec_ratio N/A."""
    conv = (
        '"""1,1,640,640,16;4,1,16,16""",FLOAT16;FLOAT16,NC1HWC0;FRACTAL_Z,"""1,1,320,320,16""",FLOAT16,NC1HWC0,'
        "5000,N/A,N/A,1.0,0.1,0.8,8.0"
    )
    path = write(
        tmp_path / "op_summary_0_1.csv", ONE_CORE,
        f"m,1,1,3,1,stem,Conv2D,AI_CORE,{T0}.100\t,10.0,1,{conv}",
        f"m,1,1,3,2,stem,Conv2D,AI_CORE,{T0 + 100}.100\t,20.0,1,{conv}",
        bom=True, end="\r\n",
    )  # fmt: skip
    profile = only(path)
    (stem,) = profile.operators
    assert profile.iterations == 2 and stem.duration_us == 15.0 and stem.calls == 1
    assert stem.counters["mac_ratio"] == pytest.approx(0.1) and stem.bound == "memory"
    assert stem.flops == 2 * (320 * 320 * 16) * (4 * 16), "channels padded to 16, as the chip executes"
    rules = [f.title for f in findings.look(profile, Facts("x", "cann")) if f.rule == "convolutions"]
    assert any("leave the matrix unit idle" in title for title in rules)


def test_a_model_s_kernels_that_all_ran_equally_often_are_inferences(tmp_path: Path) -> None:
    header = "Device_id,Model ID,Op Name,OP Type,Task Type,Task Start Time(us),Task Duration(us),Block Num"
    rows = [f"0,1,{name},Conv2D,AI_CORE,{T0 + i * 50}.000,{i + 1}.0,8" for i in range(4) for name in ("a", "b")]
    profile = only(write(tmp_path / "op_summary_20260101.csv", header, *rows))
    assert profile.iterations == 4
    assert [o.duration_us for o in profile.operators] == [2.5, 2.5]


def test_each_device_is_a_profile_of_its_own(tmp_path: Path) -> None:
    header = "Device_id,Op Name,OP Type,Task Duration(us)"
    found = read(write(tmp_path / "op_summary_1.csv", header, "0,a,Conv2D,1.0", "1,a,Conv2D,5.0"))
    assert [(p.device.split(",")[0], p.operators[0].duration_us) for p in found or ()] == [
        ("NPU 0", 1.0),
        ("NPU 1", 5.0),
    ]


def test_counts_that_disagree_are_told(tmp_path: Path) -> None:
    write(tmp_path / "op_summary_1.csv", "Op Name,OP Type,Task Duration(us)", "a,Conv2D,1.0")
    write(tmp_path / "op_statistic_1.csv", "OP Type,Core Type,Count,Total Time(us)", "Conv2D,AI_CORE,2,2.0")
    assert any("counts 2 of Conv2D, the rows of kernels 1" in note for note in only(tmp_path).notes)


def test_files_of_one_export_belong_together_whatever_second_they_were_written(tmp_path: Path) -> None:
    home = tmp_path / "PROF_000001_20260101_X" / "mindstudio_profiler_output"
    write(home / "op_summary_20260101120000.csv", "Op Name,OP Type,Task Duration(us)", "a,Conv2D,1.0")
    write(home / "task_time_20260101120001.csv", "kernel_name,kernel_type,task_time(us),task_start(us)",
          f"a,AI_CORE,1.0,{T0}.0", f"N/A,MEMCPY_ASYNC,1.0,{T0 + 1}.0")  # fmt: skip
    profile = only(tmp_path)
    assert profile.phases == {"compute": 1.0, "transfer": 1.0}
    assert "PROF_000001_20260101_X" in profile.device
    assert findings.look(profile, Facts("x", "cann"))[0].rule in ("transfers", "convolutions")


def test_exports_of_two_times_are_two_captures(tmp_path: Path) -> None:
    for second, spent in (("1", "1.0"), ("2", "3.0")):
        write(tmp_path / f"op_summary_2026{second}.csv", "Op Name,OP Type,Task Duration(us)", f"a,Conv2D,{spent}")
    assert [p.total_us for p in read(tmp_path) or ()] == [1.0, 3.0]


def test_slices_of_one_file_are_one_capture(tmp_path: Path) -> None:
    for part in "01":
        write(tmp_path / f"op_summary_slice_{part}_2026.csv", "Op Name,OP Type,Task Duration(us)", "a,Conv2D,1.0")
    assert only(tmp_path).operators[0].calls == 2


def test_torch_npu_s_folder_counts_once(tmp_path: Path) -> None:
    """The msprof folder inside a *_ascend_pt folder holds the same kernels again."""
    root = tmp_path / "host_1_2026_ascend_pt"
    write(root / "ASCEND_PROFILER_OUTPUT" / "kernel_details.csv", "Name,Type,Duration(us)", "a,Conv2D,1.0")
    write(root / "PROF_1" / "mindstudio_profiler_output" / "op_summary_1.csv", "Op Name,OP Type,Task Duration(us)",
          "a,Conv2D,1.0")  # fmt: skip
    assert only(tmp_path).tool == "torch_npu"


def test_a_trace_that_tells_directions_divides_the_copies(tmp_path: Path) -> None:
    def event(name: str, kind: str, at: int, spent: int, **args: str):
        return {
            "ph": "X",
            "name": name,
            "pid": 1,
            "tid": 3,
            "ts": T0 + at,
            "dur": spent,
            "args": {"Task Type": kind, **args},
        }

    events = [
        event("MEMCPY_ASYNC", "PCIE_DMA_SQE", 0, 20, operation="host to device"),
        event("Conv_0", "AI_CORE", 10, 70),
        event("EVENT_WAIT", "EVENT_WAIT", 0, 500),
        event("MEMCPY_ASYNC", "PCIE_DMA_SQE", 90, 10, operation="device to host"),
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "Ascend Hardware"}},
    ]
    path = tmp_path / "msprof_2026.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events, "traceName": "x"}))
    profile = only(path)
    assert profile.phases == {"compute": 70.0, "host_to_device": 10.0, "device_to_host": 10.0, "idle": 10.0}
    shares = {f.rule: f.share for f in findings.look(profile, Facts("x", "cann"))}
    assert shares["transfers"] == pytest.approx(0.2) and shares["gaps"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("Op Name,OP Type,Task Duration(us)\n", "no row"),
        ("Op Name,OP Type\na,Conv2D\n", "no column 'Task Duration"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D\n", "2 cells under 3 columns"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,1.0,7\n", "4 cells under 3 columns"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,fast\n", "no number"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,-1.0\n", "no number"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,1e999\n", "no number"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,N/A\n", "has no 'Task Duration"),
        ("Op Name,OP Type,Task Duration(us)\na,Conv2D,1.0", "has no 'Task Duration"),
        ("Op Name,Op Name,OP Type,Task Duration(us)\na,a,Conv2D,1.0\n", "twice"),
        ('Op Name,OP Type,Task Duration(us)\n"a,Conv2D,1.0\n', "not CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "op_summary_1.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"op_summary_1\.csv") as refused:
        read(path)
    assert complaint in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[", "[{}", '[{"ph":"X"}', "[1]", '{"traceEvents": 3}', "{", "[" * 100_000, "[]", "[] []",
        '[{"a":' + "9" * 5000,
        '[{"ph":"X","ts":"x","dur":1,"pid":1}]', '[{"ph":"X","ts":1,"dur":-1,"pid":1}]',
        '[{"ph":"X","ts":1,"dur":1,"pid":[1]}]',
    ],
)  # fmt: skip
def test_hostile_traces_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace_view.json"
    path.write_text(text)
    with pytest.raises(InputError):
        read(path)


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "op_summary_1.csv", "Op Name,OP Type,Task Duration(us)", "a,Conv2D,1.0")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "op_summary_1.csv").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    assert read(inside) is None


def test_copies_that_loaded_the_model_are_no_part_of_an_inference(tmp_path: Path) -> None:
    """Two steps of an .om; the weights were copied a second before the first."""
    write(
        tmp_path / "op_summary_1.csv", "Model ID,Op Name,OP Type,Task Duration(us)", "1,a,Conv2D,6.0", "1,a,Conv2D,8.0"
    )
    write(
        tmp_path / "task_time_1.csv", "kernel_name,kernel_type,task_time(us),task_start(us)",
        f"N/A,MEMCPY_ASYNC,500.0,{T0}.0", f"a,AI_CORE,6.0,{T0 + 1_000_000}.0",
        f"N/A,MEMCPY_ASYNC,2.0,{T0 + 1_000_006}.0", f"a,AI_CORE,8.0,{T0 + 1_000_010}.0",
    )  # fmt: skip
    profile = only(tmp_path)
    assert profile.iterations == 2 and profile.total_us == 9.0
    assert profile.phases == {"compute": 7.0, "transfer": 1.0, "idle": 1.0}


def test_kernels_outside_of_any_step_are_told(tmp_path: Path) -> None:
    header = "Step Id,Name,Type,Duration(us)"
    profile = only(write(tmp_path / "kernel_details.csv", header, ",a,Conv2D,1.0", "3,a,Conv2D,1.0", "4,a,Conv2D,1.0"))
    assert profile.iterations == 2 and profile.operators[0].duration_us == 1.5
    assert any("1 kernels outside" in note for note in profile.notes)
