"""Accuracy against latency: a point a candidate with its intervals, the front, and the least metric the goal allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.core.verdict import Estimate
from edgewright.report.chart.axes import Area, frame, marks
from edgewright.report.chart.labels import Box, place
from edgewright.report.chart.scale import Scale, padded
from edgewright.report.chart.svg import element, picture, shortened, text_width


@dataclass(frozen=True)
class Point:
    """One candidate. `latency` in milliseconds, `metric` in points of 100. `role` is baseline, chosen, pass,
    undecided or fail, and is the point's class in the drawing."""

    name: str
    latency: Estimate
    metric: Estimate
    role: str
    on_front: bool = False


@dataclass(frozen=True)
class Words:
    """What is written on the chart, in the page's language."""

    title: str
    description: str
    latency: str
    metric: str
    limit: str


NARROW = 450.0
"""Below this width names would crowd the drawing: every point carries a number instead."""


def draw(points: Sequence[Point], words: Words, width: float, height: float, limit: float | None = None) -> Markup:
    """The chart as SVG. `limit` is the least metric allowed, in points of 100. Points without a place for their
    name carry a number; `numbered` gives the names that belong to it."""
    across, up = _scales(points, limit, width, height)
    area = Area(width, height)
    names = (words.latency, words.metric)
    parts = frame(area, marks(across, 4 if width < 500 else 7), marks(up, 5), names, columns=True)
    if limit is not None:
        parts.append(_limit_line(limit, up, across, words))
    parts += [_front(points, across, up), *(_errors(point, across, up) for point in points)]
    parts += [_marker(point, across(point.latency.value), up(point.metric.value)) for point in points]
    for i, (point, box) in enumerate(zip(points, boxes(points, width, height, limit), strict=True)):
        x, y = across(point.latency.value), up(point.metric.value)
        parts.append(_label(point, i, _name(i, point, width), box, x, y))
    return picture(width, height, words.title, words.description, *parts)


def numbered(points: Sequence[Point], width: float, height: float, limit: float | None = None) -> list[tuple[int, str]]:
    """(number, name) of each point whose name found no place at this size."""
    found = zip(points, boxes(points, width, height, limit), strict=True)
    return [(i + 1, point.name) for i, (point, box) in enumerate(found) if box is None or width < NARROW]


def boxes(points: Sequence[Point], width: float, height: float, limit: float | None = None) -> list[Box | None]:
    """The place of each point's name."""
    area = Area(width, height)
    across, up = _scales(points, limit, width, height)
    spots = [(across(point.latency.value), up(point.metric.value)) for point in points]
    names = [_name(i, point, width) for i, point in enumerate(points)]
    sizes = [(text_width(name), 15.0) for name in names]
    limit_line = [Box(area.left, up(limit) - 2, area.end - area.left, 20)] if limit is not None else []
    return place(spots, sizes, Box(area.left + 2, 2, width - area.left - 4, area.floor - 4), limit_line)


def _scales(points: Sequence[Point], limit: float | None, width: float, height: float) -> tuple[Scale, Scale]:
    area = Area(width, height)
    times = [v for p in points for v in (p.latency.low, p.latency.high, p.latency.value) if math.isfinite(v)]
    metrics = [v for p in points for v in (p.metric.low, p.metric.high, p.metric.value) if math.isfinite(v)]
    low, high = padded(times, 0.12)
    across = Scale(max(0.0, low), high, area.left, area.end)
    bottom, top = padded([*metrics, limit] if limit is not None else metrics, 0.12)
    return across, Scale(bottom, top, area.floor, area.top)


def _limit_line(limit: float, up: Scale, across: Scale, words: Words) -> Markup:
    y = up(limit)
    return element(
        "g",
        element("line", class_="limit", x1=across.start, x2=across.end, y1=y, y2=y),
        element("text", words.limit, class_="limit-name", x=across.end, y=y + 13, text_anchor="end"),
    )


def _front(points: Sequence[Point], across: Scale, up: Scale) -> Markup:
    """The Pareto front as a stair: nothing lies up and to the left of it."""
    front = sorted((p for p in points if p.on_front), key=lambda p: p.latency.value)
    if len(front) < 2:
        return Markup("")
    steps = [f"M{across(front[0].latency.value):.1f} {up(front[0].metric.value):.1f}"]
    steps += [f"H{across(p.latency.value):.1f}V{up(p.metric.value):.1f}" for p in front[1:]]
    return element("path", class_="front", d="".join(steps))


def _errors(point: Point, across: Scale, up: Scale) -> Markup:
    x, y, parts = across(point.latency.value), up(point.metric.value), []
    if math.isfinite(point.latency.low) and math.isfinite(point.latency.high):
        parts.append(element("line", x1=across(point.latency.low), x2=across(point.latency.high), y1=y, y2=y))
    if math.isfinite(point.metric.low) and math.isfinite(point.metric.high):
        parts.append(element("line", x1=x, x2=x, y1=up(point.metric.low), y2=up(point.metric.high)))
    return element("g", *parts, class_=f"error {point.role}")


def _marker(point: Point, x: float, y: float) -> Markup:
    said = element("title", f"{point.name}: {point.latency.value:.3g} ms, {point.metric.value:.2f}")
    name = f"point {point.role}"
    if point.role == "baseline":
        return element("rect", said, class_=name, x=x - 5, y=y - 5, width=10, height=10)
    if point.role == "fail":
        return element("path", said, class_=name, d=f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10")
    return element("circle", said, class_=name, cx=x, cy=y, r=7 if point.role == "chosen" else 5)


def _name(index: int, point: Point, width: float) -> str:
    return str(index + 1) if width < NARROW else shortened(point.name, 26)


def _label(point: Point, index: int, text: str, box: Box | None, x: float, y: float) -> Markup:
    if box is None:
        return element("text", str(index + 1), class_="label", x=x, y=y - 9, text_anchor="middle")
    parts = []
    away = max(box.left - x, x - box.left - box.width, box.top - y, y - box.top - box.height)
    if away > 16:
        nearest = min(max(x, box.left), box.left + box.width), min(max(y, box.top), box.top + box.height)
        parts.append(element("line", class_="leader", x1=x, y1=y, x2=nearest[0], y2=nearest[1]))
    middle = box.left + box.width / 2
    parts.append(element("rect", class_="back", x=box.left, y=box.top, width=box.width, height=box.height))
    parts.append(element("text", text, class_=f"label {point.role}", x=middle, y=box.top + 11.5, text_anchor="middle"))
    return element("g", *parts)
