"""Throughput by batch: bars side by side, one colour a contestant, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from edgewright.core.verdict import Estimate, Measurement
from edgewright.report.chart.axes import Area, frame, marks
from edgewright.report.chart.scale import Scale
from edgewright.report.chart.svg import element, picture
from edgewright.report.numbers import figure


def draw(
    sweeps: Mapping[str, Sequence[Measurement]], title: str, across: str, up: str, width: float, height: float
) -> Markup:
    """`sweeps` maps a contestant to one Measurement a batch; `across` and `up` name the axes."""
    batches = sorted({m.batch for series in sweeps.values() for m in series})
    most = max((_top(m.throughput) for series in sweeps.values() for m in series), default=1.0) or 1.0
    area = Area(width, height)
    scale = Scale(0.0, most * 1.12, area.floor, area.top)
    slot = (area.end - area.left) / max(1, len(batches))
    bar = min(46.0, slot * 0.72 / max(1, len(sweeps)))
    middles = [area.left + slot * (i + 0.5) for i in range(len(batches))]
    labels = [(middle, str(batch)) for middle, batch in zip(middles, batches, strict=True)]
    parts = frame(area, labels, marks(scale, 5), (across, up))
    for middle, batch in zip(middles, batches, strict=True):
        for j, (name, series) in enumerate(sweeps.items()):
            left = middle + (j - len(sweeps) / 2) * bar
            parts += [_bar(name, m, j, left, bar, scale) for m in series if m.batch == batch]
    said = "; ".join(
        f"{name}, {across} {m.batch}: {figure(m.throughput.value)}" for name, series in sweeps.items() for m in series
    )
    return picture(width, height, title, said, *parts)


def _bar(name: str, measured: Measurement, index: int, left: float, width: float, scale: Scale) -> Markup:
    rate = measured.throughput
    y, floor, middle = scale(rate.value), scale(0.0), left + width / 2
    parts = [
        element("title", f"{name}, {measured.batch}: {figure(rate.value)}"),
        element("rect", class_=f"bar series-{index % 4}", x=left + 1, y=y, width=width - 2, height=max(0.0, floor - y)),
    ]
    if math.isfinite(rate.low) and math.isfinite(rate.high):
        parts.append(element("line", class_="whisker", x1=middle, x2=middle, y1=scale(rate.low), y2=scale(rate.high)))
    above = scale(_top(rate)) - 5
    parts.append(element("text", figure(rate.value), class_="value", x=middle, y=above, text_anchor="middle"))
    return element("g", *parts)


def _top(rate: Estimate) -> float:
    return max(rate.value, rate.high) if math.isfinite(rate.high) else rate.value
