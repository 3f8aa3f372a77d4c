"""op_summary (msprof) and kernel_details (torch_npu): one row for each kernel that ran, into operators.

Rows of one operator (name, type, core, shapes, types) become one; times, counters, operations and bytes are means.
Columns by name, from files of CANN 5 to 9 (docs of msprof, and the captures named in the tests).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgewright.core.profile import Operator
from edgewright.core.roofline import COMPUTE, MEMORY
from edgewright.targets.cann.captures import tensors
from edgewright.targets.cann.captures.table import Row, Table, count, moment, number
from edgewright.targets.cann.captures.tasks import MAX_TASKS, Task

NAME = ("Op Name", "Name")
TYPE = ("OP Type", "Type", "Op Type")
CORE = ("Task Type", "Accelerator Core", "Core Type")
DURATION = ("Task Duration(us)", "Duration(us)")
START = ("Task Start Time(us)", "Task Start Time", "Start Time(us)")
STEP = ("Step Id", "Iteration ID", "Infer ID")
MODEL = ("Model ID", "Model Name")
DEVICE = ("Device_id", "Device ID", "Device_ID")
STREAM = ("Stream ID",)
BUSY = 0.5
"""The part of a kernel's time that a pipe must work before the kernel counts as bound by it."""
NO_MODEL = "4294967295"
"""Model ID of kernels that were launched one by one, outside of any .om."""

RATIOS = {
    "mac_ratio": ("aic_mac_ratio", "mac_ratio"),
    "vec_ratio": ("aiv_vec_ratio", "aic_vec_ratio", "vec_ratio"),
    "scalar_ratio": ("aic_scalar_ratio", "aiv_scalar_ratio", "scalar_ratio"),
    "mte1_ratio": ("aic_mte1_ratio", "mte1_ratio"),
    "mte2_ratio": ("aic_mte2_ratio", "aiv_mte2_ratio", "mte2_ratio"),
    "mte3_ratio": ("aiv_mte3_ratio", "aic_mte3_ratio", "mte3_ratio"),
    "fixpipe_ratio": ("aic_fixpipe_ratio", "fixpipe_ratio"),
    "memory_bound": ("memory_bound",),
    "cube_utilization": ("cube_utilization(%)", "cube_utilization( %)"),
}
"""Our names for PipeUtilization's columns: two-core chips write aic_ and aiv_, one-core chips neither. A kernel that
used both cores counts as its busier one. cube_utilization is in per cent in the file and a fraction here."""


class _Key(NamedTuple):
    """What makes two rows the same operator."""

    name: str
    type: str
    core: str
    read: tensors.Shapes
    written: tensors.Shapes
    read_types: tuple[str, ...]
    written_types: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass
class _Seen:
    """What the rows of one operator add up to."""

    calls: int = 0
    duration_us: float = 0.0
    counters: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    counted_us: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True)
class Kernels:
    """The file's operators per inference; `steps` is how many inferences they are means over, `reason` why."""

    operators: tuple[Operator, ...]
    tasks: tuple[Task, ...]
    steps: int
    reason: str
    counts: dict[str, int]


def devices(table: Table) -> tuple[str, ...]:
    """The devices a file tells of, by name; ("",) where it has no such column."""
    column = table.first(*DEVICE)
    return tuple(sorted({_number_of(table, row, column) for row in table.rows()} or {""})) if column else ("",)


def read(files: Sequence[Table], device: str) -> Kernels:
    """The rows of one device ("" for all) in the slices of one file. InputError without names, types or durations."""
    seen: dict[_Key, _Seen] = {}
    steps: Counter[str] = Counter()
    models: dict[str, Counter[str]] = {}
    tasks: list[Task] = []
    for table in files:
        step, model, start, stream = (table.first(*names) for names in (STEP, MODEL, START, STREAM))
        counters = {counter: [name for name in names if table.has(name)] for counter, names in RATIOS.items()}
        for row, key, spent in _rows(table, device):
            _add(seen.setdefault(key, _Seen()), table, row, spent, counters)
            steps[_number_of(table, row, step)] += 1
            models.setdefault(row.get(model, "") or NO_MODEL, Counter())[key.name] += 1
            begun = moment(table, row, start)
            if begun is not None:
                if len(tasks) == MAX_TASKS:
                    raise table.damaged(f"it has over {MAX_TASKS} kernels")
                tasks.append(Task(key.name, key.core, begun, round(spent * 1000), row.get(stream, "")))
    if not seen:
        raise files[0].damaged("it has no row" + (f" of device {device}" if device else ""))
    n, reason = _inferences(steps, models)
    counts: Counter[str] = Counter()
    for key, one in seen.items():
        counts[key.type] += one.calls
    return Kernels(tuple(_operator(key, one, n) for key, one in seen.items()), tuple(tasks), n, reason, dict(counts))


def _rows(table: Table, device: str) -> Iterator[tuple[Row, _Key, float]]:
    name, kind, duration = (table.require(*names) for names in (NAME, TYPE, DURATION))
    core, where = table.first(*CORE), table.first(*DEVICE)
    for row in table.rows():
        if device and where and row[where] != device:
            continue
        spent = number(table, row, duration)
        if spent is None:
            raise table.damaged(f"a row of '{row[name][:80]}' has no '{duration}'")
        yield row, _key(table, row, row[name], row[kind], row.get(core, "")), spent


def _number_of(table: Table, row: Row, column: str) -> str:
    """The number of a step or a device, as it is written; "" where there is none."""
    value = count(table, row, column)
    return "" if value is None else row[column]


def _key(table: Table, row: Row, name: str, kind: str, core: str) -> _Key:
    return _Key(
        name,
        kind,
        core,
        tensors.shapes(table, row, "Input Shapes"),
        tensors.shapes(table, row, "Output Shapes"),
        tensors.names(row, "Input Data Types"),
        tensors.names(row, "Output Data Types"),
        tensors.names(row, "Input Formats"),
    )


def _add(seen: _Seen, table: Table, row: Row, spent: float, counters: Mapping[str, Sequence[str]]) -> None:
    seen.calls += 1
    seen.duration_us += spent
    for counter, columns in counters.items():
        values = [value for column in columns if (value := number(table, row, column)) is not None]
        if values:
            value = max(values) / (100.0 if counter == "cube_utilization" else 1.0)
            seen.counters[counter] += value * spent
            seen.counted_us[counter] += spent


def _operator(key: _Key, seen: _Seen, steps: int) -> Operator:
    each = seen.calls / steps
    counters = {name: total / seen.counted_us[name] for name, total in seen.counters.items() if seen.counted_us[name]}
    return Operator(
        name=key.name,
        type=key.type,
        duration_us=seen.duration_us / steps,
        calls=max(1, round(each)),
        inputs=key.read,
        outputs=key.written,
        dtype=tensors.precision(key.read_types) or tensors.precision(key.written_types),
        flops=each * tensors.operations(key.type, key.read, key.written, key.formats),
        bytes=each * tensors.moved_bytes(key.read, key.read_types, key.written, key.written_types),
        bound=_bound(counters),
        kernel=key.core,
        counters=counters,
    )


def _bound(counters: Mapping[str, float]) -> str:
    """The vendor's own measure: memory_bound = mte2_ratio ÷ max(mac_ratio, vec_ratio), bound by memory above 1
    (hiascend.com, atlasprofiling_16_0211). Computed where the file has the ratios but not the column. A kernel whose
    pipes all rest more than half of its time is bound by neither (launching it, or scalar work, takes the time)."""
    busy = max(counters.get("mac_ratio", 0.0), counters.get("vec_ratio", 0.0))
    loading = counters.get("mte2_ratio", 0.0)
    told = counters.get("memory_bound", loading / busy if busy > 0 else 0.0)
    if ("mte2_ratio" in counters and max(busy, loading) < BUSY) or told <= 0:
        return ""
    return MEMORY if told > 1 else COMPUTE


def _inferences(steps: Counter[str], models: dict[str, Counter[str]]) -> tuple[int, str]:
    """How many inferences the rows hold: by step numbers, or, for an .om, by how often each of its kernels ran."""
    outside = steps.pop("", 0)
    if steps:
        said = f"{len(steps)} step{'s' * (len(steps) > 1)}, by their numbers"
        return len(steps), said + (f" ({outside} kernels outside of any step count too)" if outside else "")
    often = {times for model, names in models.items() if model != NO_MODEL for times in names.values()}
    if len(models) == 1 and len(often) == 1 and (n := often.pop()) > 1:
        return n, f"{n} inferences: every kernel of the model ran so often"
    return 1, ""
