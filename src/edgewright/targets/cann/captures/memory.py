"""Memory over time: operator_memory (who allocated) and memory_record (what each component holds)."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.targets.cann.captures.table import Table, moment, number

MIB = 1 << 20
MAX_POINTS = 100_000


@dataclass(frozen=True)
class Held:
    """Bytes held at a moment; `owner` is an operator, or a component (PTA: PyTorch, GE: the graph engine, APP: all)."""

    time_ns: int
    bytes: int
    owner: str


@dataclass(frozen=True)
class Memory:
    held: tuple[Held, ...]
    left_out: int
    peak_reserved: int


def read_operator_memory(table: Table, device: str) -> Memory:
    """One point for each allocation: what was allocated in all when it was done."""
    return _read(
        table, device, "Name", "Allocation Time(us)", "Allocation Total Allocated(MB)", "Allocation Total Reserved(MB)"
    )


def read_memory_record(table: Table, device: str) -> Memory:
    """One point for each record of a component that says what is allocated; APP's say only what is reserved."""
    return _read(table, device, "Component", "Timestamp(us)", "Total Allocated(MB)", "Total Reserved(MB)")


def _read(table: Table, device: str, owner: str, time: str, allocated: str, reserved: str) -> Memory:
    for column in (owner, time, allocated):
        table.require(column)
    where = table.first("Device Type")
    held: list[Held] = []
    left_out, peak = 0, 0.0
    for row in table.rows():
        if device and where and row[where] not in ("", f"NPU:{device}"):
            continue
        at, size = moment(table, row, time), number(table, row, allocated)
        peak = max(peak, number(table, row, reserved) or 0.0)
        if at is None or size is None:
            continue
        if len(held) < MAX_POINTS:
            held.append(Held(at, round(size * MIB), row[owner]))
        else:
            left_out += 1
    return Memory(tuple(held), left_out, round(peak * MIB))
