"""The operators of a profile as tables: the list, the slowest few, and the totals by type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.core.operator_kind import KINDS, kind_of
from edgewright.core.profile import Operator, Profile


@dataclass(frozen=True)
class TypeTotal:
    """All operators of one type. `efficiency` is weighted by time, nan where not one is known."""

    type: str
    kind: str
    count: int
    duration_us: float
    share: float
    flops: float
    efficiency: float


@dataclass(frozen=True)
class KindTotal:
    """All operators of one kind (core.operator_kind)."""

    kind: str
    count: int
    duration_us: float
    share: float


def top(profile: Profile, count: int = 20) -> tuple[Operator, ...]:
    """The `count` slowest operators, the slowest first; those that took no time are left out."""
    ran = [operator for operator in profile.operators if operator.duration_us > 0]
    return tuple(sorted(ran, key=lambda operator: -operator.duration_us)[:count])


def by_type(profile: Profile) -> tuple[TypeTotal, ...]:
    """One row a type that took time, the costliest first."""
    whole = sum(operator.duration_us for operator in profile.operators) or 1.0
    groups: dict[str, list[Operator]] = {}
    for operator in profile.operators:
        if operator.duration_us > 0:
            groups.setdefault(operator.type, []).append(operator)
    totals = [_total(name, group, whole) for name, group in groups.items()]
    return tuple(sorted(totals, key=lambda total: (-total.duration_us, total.type)))


def by_kind(profile: Profile) -> tuple[KindTotal, ...]:
    """One row a kind that took time, in the vocabulary's order, so that two profiles line up."""
    whole = sum(operator.duration_us for operator in profile.operators) or 1.0
    groups: dict[str, list[float]] = {}
    for operator in profile.operators:
        if operator.duration_us > 0:
            groups.setdefault(kind_of(operator.type), []).append(operator.duration_us)
    return tuple(
        KindTotal(kind, len(groups[kind]), sum(groups[kind]), sum(groups[kind]) / whole)
        for kind in KINDS
        if kind in groups
    )


def achieved_gflops(operator: Operator) -> float:
    """Operations per nanosecond, i.e. GFLOP/s (GOP/s in int8); nan where operations are not counted."""
    return operator.flops / operator.duration_us / 1e3 if operator.flops and operator.duration_us else math.nan


def _total(name: str, group: Sequence[Operator], whole: float) -> TypeTotal:
    spent = sum(operator.duration_us for operator in group)
    known = [operator for operator in group if math.isfinite(operator.efficiency)]
    weight = sum(operator.duration_us for operator in known)
    efficiency = sum(o.efficiency * o.duration_us for o in known) / weight if weight else math.nan
    flops = sum(operator.flops for operator in group)
    return TypeTotal(name, kind_of(name), len(group), spent, spent / whole, flops, efficiency)
