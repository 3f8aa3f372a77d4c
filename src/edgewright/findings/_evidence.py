"""What rules cite: operators as rows of evidence, and shares of time as words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Operator, Profile


def of_kind(profile: Profile, *kinds: str) -> list[Operator]:
    return [operator for operator in profile.operators if kind_of(operator.type) in kinds]


def share_of(operators: Iterable[Operator]) -> float:
    return sum(operator.share for operator in operators)


def slowest(operators: Sequence[Operator], count: int = 5) -> list[Operator]:
    return sorted(operators, key=lambda operator: -operator.duration_us)[:count]


def rows(operators: Iterable[Operator]) -> tuple[Mapping[str, object], ...]:
    """One row an operator; what is not known is left out rather than written as 0."""
    return tuple(_row(operator) for operator in operators)


def by_type(operators: Sequence[Operator]) -> tuple[Mapping[str, object], ...]:
    """One row an operator type, the costliest first."""
    totals: dict[str, list[Operator]] = {}
    for operator in operators:
        totals.setdefault(operator.type, []).append(operator)
    table = [
        {"type": kind, "count": len(group), "duration_us": sum(o.duration_us for o in group), "share": share_of(group)}
        for kind, group in totals.items()
    ]
    return tuple(sorted(table, key=lambda row: (-float(str(row["share"])), str(row["type"]))))


def percent(fraction: float) -> str:
    """ "76 %", "4.8 %": two figures are what a profile can bear."""
    value = fraction * 100
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %"


def _row(operator: Operator) -> Mapping[str, object]:
    row: dict[str, object] = {
        "operator": operator.name,
        "type": operator.type,
        "duration_us": operator.duration_us,
        "share": operator.share,
    }
    if operator.outputs:
        row["output"] = "×".join(map(str, operator.outputs[0]))
    if operator.dtype:
        row["dtype"] = operator.dtype
    if not math.isnan(operator.efficiency):
        row["efficiency"] = operator.efficiency
        row["bound"] = operator.bound
    if "mac_ratio" in operator.counters:
        row["mac_ratio"] = operator.counters["mac_ratio"]
        if operator.bound:
            row["bound"] = operator.bound
    if operator.kernel:
        row["kernel"] = operator.kernel
    return row
