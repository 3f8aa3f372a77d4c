"""The CSV files of mindstudio_profiler_output, with the columns of real ones; metrics a CPU has not are N/A."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import pvariance

from ..chips import CHIPS
from .record import Op, Record

# One-core chips (310, 310B, 310P) print these; 910B and later split them into aic_ and aiv_.
ONE_CORE = [
    "aicore_time(us)", "total_cycles", "vec_time(us)", "vec_ratio", "mac_time(us)", "mac_ratio", "scalar_time(us)",
    "scalar_ratio", "mte1_time(us)", "mte1_ratio", "mte2_time(us)", "mte2_ratio", "mte3_time(us)", "mte3_ratio",
    "icache_miss_rate", "memory_bound",
]  # fmt: skip
TWO_CORES = [
    "aicore_time(us)", "aic_total_cycles", "aic_mac_time(us)", "aic_mac_ratio", "aic_scalar_time(us)",
    "aic_scalar_ratio", "aic_mte1_time(us)", "aic_mte1_ratio", "aic_mte2_time(us)", "aic_mte2_ratio",
    "aic_fixpipe_time(us)", "aic_fixpipe_ratio", "aic_icache_miss_rate", "aiv_time(us)", "aiv_total_cycles",
    "aiv_vec_time(us)", "aiv_vec_ratio", "aiv_scalar_time(us)", "aiv_scalar_ratio", "aiv_mte2_time(us)",
    "aiv_mte2_ratio", "aiv_mte3_time(us)", "aiv_mte3_ratio", "aiv_icache_miss_rate", "cube_utilization(%)",
]  # fmt: skip
CUBE_TYPES = {"Conv2D", "Conv2DTranspose", "MatMulV2"}


def write_tables(record: Record, folder: Path, stamp: str) -> list[Path]:
    """op_summary, op_statistic, api_statistic, task_time, step_trace; their paths."""
    tables = {
        "op_summary": _op_summary(record),
        "op_statistic": _op_statistic(record),
        "api_statistic": _api_statistic(record),
        "task_time": _task_time(record),
        "step_trace": _step_trace(record),
    }
    paths = []
    for name, rows in tables.items():
        path = folder / f"{name}_{stamp}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        paths.append(path)
    return paths


def one_core(soc: str) -> bool:
    return soc.startswith("Ascend310")


def core_type(record: Record, op: Op) -> str:
    if one_core(record.soc):
        return "AI_CORE"
    return "AI_CORE" if op.kind in CUBE_TYPES else "AI_VECTOR_CORE"


def _quoted(shapes: str) -> str:
    return shapes if shapes == "N/A" else f'"{shapes}"'


def _formats(types: str) -> str:
    return "N/A" if types == "N/A" else ";".join(["ND"] * len(types.split(";")))


def _op_summary(record: Record) -> Iterable[list[object]]:
    single = one_core(record.soc)
    blocks = "Block Num" if record.cann and int(record.cann.split(".")[0]) >= 9 else "Block Dim"
    yield [
        "Device_id", "Model ID", "Task ID", "Stream ID", "Op Name", "OP Type", "OP State", "Task Type",
        "Task Start Time(us)", "Task Duration(us)", "Task Wait Time(us)", blocks, f"Mix {blocks}", "HF32 Eligible",
        "Input Shapes", "Input Data Types", "Input Formats", "Output Shapes", "Output Data Types", "Output Formats",
        "Context ID", *(ONE_CORE if single else TWO_CORES),
    ]  # fmt: skip
    chip = CHIPS.get(record.soc)
    mhz, cores = (chip.mhz, chip.cores) if chip else (1000, 1)
    end: float | None = None
    for op in record.ops:
        wait = 0.0 if end is None else max(0.0, op.start - end)
        end = op.start + op.duration
        metrics: list[object] = ["N/A"] * len(ONE_CORE if single else TWO_CORES)
        if single or op.kind in CUBE_TYPES:
            metrics[:2] = [f"{op.duration:.3f}", round(op.duration * mhz)]
        yield [
            0, op.model, op.task, op.stream, op.name, op.kind, "static", core_type(record, op), f"{op.start:.3f}\t",
            f"{op.duration:.3f}", f"{wait:.3f}", cores, 0, "NO", _quoted(op.input_shapes), op.input_types,
            _formats(op.input_types), _quoted(op.output_shapes), op.output_types, _formats(op.output_types), "N/A",
            *metrics,
        ]  # fmt: skip


def _op_statistic(record: Record) -> Iterable[list[object]]:
    head = ["Device_id", "OP Type", "Core Type", "Count", "Total Time(us)", "Min Time(us)", "Avg Time(us)"]
    yield [*head, "Max Time(us)", "Ratio(%)"]
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for op in record.ops:
        groups[op.kind, core_type(record, op)].append(op.duration)
    whole = sum(map(sum, groups.values())) or 1.0
    for (kind, core), times in sorted(groups.items(), key=lambda item: -sum(item[1])):
        total = sum(times)
        numbers = (total, min(times), total / len(times), max(times), 100 * total / whole)
        yield [0, kind, core, len(times), *(f"{number:.3f}" for number in numbers)]


def _api_statistic(record: Record) -> Iterable[list[object]]:
    yield ["Device_id", "Level", "API Name", "Time(us)", "Count", "Avg(us)", "Min(us)", "Max(us)", "Variance"]
    groups: dict[str, list[float]] = defaultdict(list)
    for api in record.apis:
        groups[api.name].append(api.duration)
    for name, times in sorted(groups.items(), key=lambda item: -sum(item[1])):
        numbers = [f"{number:.3f}" for number in (sum(times) / len(times), min(times), max(times), pvariance(times))]
        yield ["host", "acl", name, f"{sum(times):.3f}", len(times), *numbers]


def _task_time(record: Record) -> Iterable[list[object]]:
    head = ["Device_id", "kernel_name", "kernel_type", "stream_id", "task_id"]
    yield [*head, "task_time(us)", "task_start(us)", "task_stop(us)"]
    for op in record.ops:
        ends = [f"{op.start:.3f}\t", f"{op.start + op.duration:.3f}\t"]
        yield [
            0,
            op.name,
            f"KERNEL_{core_type(record, op).replace('AI_', 'AI')}",
            op.stream,
            op.task,
            f"{op.duration:.3f}",
            *ends,
        ]


def _step_trace(record: Record) -> Iterable[list[object]]:
    head = ["Device_id", "Iteration ID", "FP Start(us)", "BP End(us)", "Iteration End(us)", "Iteration Time(us)"]
    yield [*head, "FP to BP Time(us)", "Iteration Refresh(us)", "Data Aug Bound(us)", "Model ID"]
    last: dict[int, float] = {}
    for run in record.runs:
        end = run.start + run.duration
        since = f"{end - last[run.model]:.3f}" if run.model in last else "N/A"
        last[run.model] = end
        yield [
            0,
            run.iteration + 1,
            "N/A",
            "N/A",
            f"{end:.3f}\t",
            f"{run.duration:.3f}",
            "N/A",
            since,
            "N/A",
            run.model,
        ]
