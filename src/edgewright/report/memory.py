"""Memory over one inference: how much is held when, and which operator was at work.

A point holds the whole that is held from its time on, with the operator that then starts as its owner; the owner
"weights" stands for what is held before any operator runs. Of several points of one moment the last one counts.
"""

from __future__ import annotations

from edgewright.core.profile import MemoryPoint, Profile

WEIGHTS = "weights"


def moments(profile: Profile) -> tuple[MemoryPoint, ...]:
    """The profile's memory, one point a moment, in order of time."""
    latest = {point.time_us: point for point in profile.memory}
    return tuple(latest[time] for time in sorted(latest))


def peak(profile: Profile) -> MemoryPoint | None:
    """The first moment of most bytes; None where memory was not measured."""
    return max(moments(profile), key=lambda point: point.bytes, default=None)


def weights_bytes(profile: Profile) -> int:
    """Bytes held before any operator runs; 0 where not known."""
    return max((point.bytes for point in profile.memory if point.owner == WEIGHTS), default=0)


def heaviest(profile: Profile, count: int = 6) -> tuple[tuple[str, int], ...]:
    """(operator, the most bytes held in all while it was at work), the largest first."""
    most: dict[str, int] = {}
    for point in profile.memory:
        if point.owner and point.owner != WEIGHTS:
            most[point.owner] = max(most.get(point.owner, 0), point.bytes)
    return tuple(sorted(most.items(), key=lambda item: (-item[1], item[0]))[:count])
