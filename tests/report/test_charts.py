"""Charts: legible labels, axes with round ticks, safe markup."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.verdict import Estimate
from edgewright.report import RunReport
from edgewright.report.chart import memory as memory_chart
from edgewright.report.chart import pareto, sweep, timeline
from edgewright.report.chart.labels import Box, place
from edgewright.report.chart.scale import ticks
from edgewright.report.chart.svg import element, shortened
from edgewright.report.memory import moments

WORDS = pareto.Words("title", "description", "latency", "metric", "limit")


def inside(limit: float) -> st.SearchStrategy[float]:
    return st.floats(min_value=20, max_value=limit - 20)


@given(st.lists(st.tuples(inside(560), inside(300)), max_size=12), st.integers(20, 200))
def test_placed_names_overlap_neither_each_other_nor_points(points: list[tuple[float, float]], width: int) -> None:
    bounds = Box(0, 0, 560, 300)
    boxes = [box for box in place(points, [(width, 15.0)] * len(points), bounds) if box]
    assert all(not a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.within(bounds) for box in boxes)
    assert all(not (b.left < x < b.left + b.width and b.top < y < b.top + b.height) for b in boxes for x, y in points)


@given(st.lists(st.tuples(inside(560), inside(300)), max_size=8, unique=True))
def test_a_name_is_nearest_to_its_own_point(points: list[tuple[float, float]]) -> None:
    for i, box in enumerate(place(points, [(60.0, 15.0)] * len(points), Box(0, 0, 560, 300))):
        if box is not None:
            assert min(range(len(points)), key=lambda k: box.gap(*points[k])) == i


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_within_the_range(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 12
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in found)


def point(name: str, ms: float, metric: float, role: str = "pass") -> pareto.Point:
    return pareto.Point(name, Estimate(ms, ms * 0.9, ms * 1.1), Estimate(metric, metric - 1, metric + 1), role, True)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.text(max_size=50), st.floats(0.01, 1e4), st.floats(0, 100)), min_size=1, max_size=10
    ),
    st.booleans(),
)  # fmt: skip
def test_pareto_is_well_formed_and_names_every_point(found: list[tuple[str, float, float]], wide: bool) -> None:
    points = [point(*args) for args in found]
    size = (560.0, 340.0) if wide else (326.0, 280.0)
    svg = pareto.draw(points, WORDS, *size, limit=30.0)
    ET.fromstring(str(svg))
    boxes = pareto.boxes(points, *size, 30.0)
    keys = dict(pareto.numbered(points, *size, 30.0))
    assert all(box is not None or keys[i + 1] == points[i].name for i, box in enumerate(boxes))


def test_a_failed_point_is_a_cross_and_the_baseline_a_square() -> None:
    svg = str(pareto.draw([point("a", 1, 30, "fail"), point("b", 2, 31, "baseline")], WORDS, 560, 340))
    assert 'class="point fail"' in svg and "<rect" in svg


def test_points_without_intervals_are_drawn_without_bars() -> None:
    bare = pareto.Point("a", Estimate(1, math.nan, math.nan), Estimate(30, math.nan, math.nan), "pass")
    assert "nan" not in str(pareto.draw([bare], WORDS, 560, 340))


def test_other_charts_are_well_formed_and_hold_no_nan(run: RunReport, hostile: RunReport) -> None:
    for report in (run, hostile):
        target = report.targets[0]
        profile = next(iter(target.profiles.values()))
        for svg in (
            sweep.draw(target.sweeps, "title", "batch", "rate", 560, 340),
            memory_chart.draw(moments(profile), "title", "ms", "MiB", 560, 230),
            timeline.draw(profile, "title", "description"),
        ):
            ET.fromstring(str(svg))
            assert "nan" not in str(svg).lower().replace("planted", "")


@given(st.text())
def test_any_text_and_attribute_is_inert(text: str) -> None:
    parsed = ET.fromstring(str(element("text", text, title_=text)))
    assert not list(parsed)


def test_long_names_keep_both_ends() -> None:
    assert shortened("openvino-int8-split-head-folded", 15) == "openvin…-folded"
