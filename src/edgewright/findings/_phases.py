"""The phases of a request as shares and rows."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.core.profile import Profile


def phase_share(profile: Profile, *phases: str) -> float:
    """The phases' part of the whole request; 0 where phases were not measured."""
    whole = sum(profile.phases.values())
    return sum(profile.phases.get(phase, 0.0) for phase in phases) / whole if whole > 0 else 0.0


def phase_rows(profile: Profile) -> tuple[Mapping[str, object], ...]:
    return tuple(
        {"phase": phase, "duration_us": duration, "share": phase_share(profile, phase)}
        for phase, duration in profile.phases.items()
    )
