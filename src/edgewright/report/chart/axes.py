"""The frame of a chart: grid, ticks and the axes' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.report.chart.scale import Scale, decimals, ticks
from edgewright.report.chart.svg import element


@dataclass(frozen=True)
class Area:
    """Where a chart's figures lie within its picture, in pixels."""

    width: float
    height: float
    left: float = 52.0
    right: float = 12.0
    top: float = 18.0
    bottom: float = 42.0

    @property
    def floor(self) -> float:
        return self.height - self.bottom

    @property
    def end(self) -> float:
        return self.width - self.right


Tick = tuple[float, str]


def marks(scale: Scale, about: int, unit: float = 1.0) -> list[Tick]:
    """(pixel, label) of round values in units of `unit`."""
    values = ticks(scale.low / unit, scale.high / unit, about)
    places = decimals(values[1] - values[0]) if len(values) > 1 else 1
    return [(scale(value * unit), f"{value:.{places}f}") for value in values]


def frame(
    area: Area, across: Sequence[Tick], up: Sequence[Tick], names: tuple[str, str], columns: bool = False
) -> list[Markup]:
    """Axes with their ticks; `names` are (across, up); `columns` draws vertical grid lines too."""
    parts = []
    for y, label in up:
        parts.append(element("line", class_="grid", x1=area.left, x2=area.end, y1=y, y2=y))
        parts.append(element("text", label, class_="tick", x=area.left - 6, y=y + 4, text_anchor="end"))
    for x, label in across:
        if columns:
            parts.append(element("line", class_="grid", x1=x, x2=x, y1=area.top, y2=area.floor))
        parts.append(element("text", label, class_="tick", x=x, y=area.floor + 16, text_anchor="middle"))
    parts.append(element("line", class_="axis", x1=area.left, x2=area.end, y1=area.floor, y2=area.floor))
    middle = (area.left + area.end) / 2
    parts.append(element("text", names[0], class_="name", x=middle, y=area.height - 8, text_anchor="middle"))
    turn = f"translate(13 {(area.top + area.floor) / 2:.1f}) rotate(-90)"
    parts.append(element("text", names[1], class_="name", transform=turn, text_anchor="middle"))
    return parts
