"""Memory over one inference."""

from __future__ import annotations

from dataclasses import replace

from edgewright.core.profile import MemoryPoint, Profile
from edgewright.report.memory import largest_holders, moments, peak


def test_points_of_one_moment_add_up(profile: Profile) -> None:
    both = (MemoryPoint(1.0, 10, "weights"), MemoryPoint(1.0, 30, "runtime"), MemoryPoint(0.0, 5, "weights"))
    found = moments(replace(profile, memory=both))
    assert [(m.time_us, m.bytes) for m in found] == [(0.0, 5), (1.0, 40)]
    assert found[1].owners == (("runtime", 30), ("weights", 10))


def test_peak_and_largest_holders(profile: Profile) -> None:
    highest = peak(profile)
    assert highest is not None and highest.bytes == 5 << 20
    assert largest_holders(profile, 1) == (("/model.1/Concat", 5 << 20),)


def test_nothing_measured_is_nothing_shown(profile: Profile) -> None:
    bare = replace(profile, memory=())
    assert peak(bare) is None and moments(bare) == () and largest_holders(bare) == ()
