"""Memory over one inference."""

from __future__ import annotations

from dataclasses import replace

from edgewright.core.profile import MemoryPoint, Profile
from edgewright.report.memory import heaviest, moments, peak, weights_bytes


def test_a_point_is_the_whole_and_the_last_of_a_moment_counts(profile: Profile) -> None:
    points = (MemoryPoint(1.0, 30, "b"), MemoryPoint(0.0, 5, "weights"), MemoryPoint(0.0, 9, "a"))
    found = moments(replace(profile, memory=points))
    assert [(m.time_us, m.bytes, m.owner) for m in found] == [(0.0, 9, "a"), (1.0, 30, "b")]


def test_peak_weights_and_the_heaviest_operators(profile: Profile) -> None:
    highest = peak(profile)
    assert highest is not None and highest.bytes == 5 << 20
    assert weights_bytes(profile) == 1 << 20
    assert heaviest(profile) == (("/model.1/Concat", 5 << 20),), "weights are no operator"


def test_nothing_measured_is_nothing_shown(profile: Profile) -> None:
    bare = replace(profile, memory=())
    assert peak(bare) is None and moments(bare) == () and heaviest(bare) == ()
