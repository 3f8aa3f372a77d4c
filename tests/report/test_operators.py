"""The operators of a profile as tables."""

from __future__ import annotations

import math

from edgewright.core.profile import Profile
from edgewright.report.operators import achieved_gflops, by_kind, by_type, top


def test_top_lists_the_slowest_first_and_leaves_out_what_took_no_time(profile: Profile) -> None:
    assert [o.name for o in top(profile)] == ["/model.0/Conv", "/model.1/Concat", "/model.2/Conv"]
    assert len(top(profile, 2)) == 2


def test_types_add_up_to_the_whole(profile: Profile) -> None:
    totals = by_type(profile)
    assert [(t.type, t.count) for t in totals] == [("Conv", 2), ("Concat", 1)]
    assert math.isclose(sum(t.share for t in totals), 1.0)
    assert math.isclose(totals[0].efficiency, (0.42 * 6000 + 1.7 * 1500) / 7500)
    assert math.isnan(totals[1].efficiency)


def test_kinds_add_up_to_the_whole(profile: Profile) -> None:
    assert math.isclose(sum(k.share for k in by_kind(profile)), 1.0)


def test_rate_is_unknown_where_operations_are_not_counted(profile: Profile) -> None:
    assert math.isclose(achieved_gflops(profile.operators[0]), 3.5e6 / 6000 / 1e3)
    assert math.isnan(achieved_gflops(profile.operators[1]))


def test_an_empty_profile_has_empty_tables() -> None:
    nothing = Profile("planted", "planted", "fp32", 0.0, ())
    assert top(nothing) == by_type(nothing) == by_kind(nothing) == ()
