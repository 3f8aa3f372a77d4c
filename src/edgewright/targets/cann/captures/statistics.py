"""Sums that the profiler made itself: op_statistic, api_statistic, operator_details.

op_statistic checks the kernels' rows, and stands in for them where they are missing; the other two speak of the host.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edgewright.core.profile import Operator
from edgewright.targets.cann.captures.table import Table, count, number


@dataclass(frozen=True)
class Totals:
    """Per operator type: how often and how long (µs) in all; `operators` is one operator a row."""

    counts: dict[str, int]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class HostCall:
    name: str
    calls: int
    total_us: float


def read_op_statistic(table: Table, device: str) -> Totals:
    kind, calls = table.require("OP Type", "Op Type"), table.require("Count")
    total, core = table.require("Total Time(us)", "Total Time"), table.first("Core Type", "Task Type")
    where = table.first("Device_id", "Device ID")
    counts: dict[str, int] = defaultdict(int)
    operators = []
    for row in table.rows():
        if device and where and row[where] != device:
            continue
        often, spent = count(table, row, calls), number(table, row, total)
        if often is None or spent is None:
            raise table.damaged(f"the row of '{row[kind][:80]}' has no count or no time")
        counts[row[kind]] += often
        operators.append(Operator(row[kind], row[kind], spent, max(1, often), kernel=row.get(core, "")))
    return Totals(dict(counts), tuple(operators))


def read_api_statistic(table: Table) -> tuple[HostCall, ...]:
    """The host's calls, the longest in all first. Levels overlap (a node's launch is inside an acl call)."""
    name, total = table.require("API Name", "Name"), table.require("Time(us)")
    calls = table.require("Count")
    found = [
        HostCall(row[name], count(table, row, calls) or 0, number(table, row, total) or 0.0) for row in table.rows()
    ]
    return tuple(sorted(found, key=lambda call: -call.total_us))


@dataclass(frozen=True)
class HostOperators:
    """PyTorch's operators: µs of the host's own work in all, and those that had device time, as operators."""

    host_us: float
    operators: tuple[Operator, ...]


def read_operator_details(table: Table) -> HostOperators:
    name, host = table.require("Name"), table.require("Host Self Duration(us)")
    device = table.require("Device Self Duration(us)")
    host_us = 0.0
    spent: dict[str, float] = defaultdict(float)
    often: dict[str, int] = defaultdict(int)
    for row in table.rows():
        host_us += number(table, row, host) or 0.0
        if on_device := number(table, row, device) or 0.0:
            spent[row[name]] += on_device
            often[row[name]] += 1
    operators = tuple(Operator(key, key, total, often[key]) for key, total in spent.items())
    return HostOperators(host_us, operators)
