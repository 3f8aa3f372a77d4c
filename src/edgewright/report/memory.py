"""Memory over one inference: how much is held when, and by whom.

Points of one moment add up (one a holder: "weights", "runtime", an operator); a moment with a single point is the
whole. Between two moments what was held last is still held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.core.profile import MemoryPoint, Profile


@dataclass(frozen=True)
class Moment:
    """Bytes held from `time_us` on. `owners` lists (holder, bytes), the largest first."""

    time_us: float
    bytes: int
    owners: tuple[tuple[str, int], ...]


def moments(profile: Profile) -> tuple[Moment, ...]:
    """The profile's memory, one entry a moment, in order of time."""
    grouped: dict[float, list[MemoryPoint]] = {}
    for point in profile.memory:
        grouped.setdefault(point.time_us, []).append(point)
    return tuple(_moment(time, grouped[time]) for time in sorted(grouped))


def peak(profile: Profile) -> Moment | None:
    """The moment of most bytes; None where memory was not measured."""
    return max(moments(profile), key=lambda moment: moment.bytes, default=None)


def largest_holders(profile: Profile, count: int = 8) -> tuple[tuple[str, int], ...]:
    """(holder, the most bytes it was seen with), the largest first."""
    most: dict[str, int] = {}
    for point in profile.memory:
        if point.owner:
            most[point.owner] = max(most.get(point.owner, 0), point.bytes)
    return tuple(sorted(most.items(), key=lambda item: (-item[1], item[0]))[:count])


def _moment(time: float, points: Sequence[MemoryPoint]) -> Moment:
    owners = sorted(((point.owner, point.bytes) for point in points), key=lambda item: -item[1])
    return Moment(time, sum(size for _, size in owners), tuple(owners))
