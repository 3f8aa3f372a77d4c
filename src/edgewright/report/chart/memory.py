"""Memory over one inference as a stair: what is held, until something is taken or given back."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from edgewright.core.profile import MemoryPoint
from edgewright.report.chart.axes import Area, frame, marks
from edgewright.report.chart.scale import Scale
from edgewright.report.chart.svg import element, picture
from edgewright.report.numbers import byte_size, microseconds

MIB = 1 << 20


def draw(moments: Sequence[MemoryPoint], title: str, across: str, up: str, width: float, height: float) -> Markup:
    """`moments` in order of time, at least one. Axes: milliseconds, MiB."""
    area = Area(width, height)
    end = max(moments[-1].time_us, 1e-3)
    most = max(moment.bytes for moment in moments)
    x = Scale(0.0, end, area.left, area.end)
    y = Scale(0.0, most / MIB * 1.12 or 1.0, area.floor, area.top)
    stairs = [f"M{x(max(0.0, moments[0].time_us)):.1f} {y(0):.1f}V{y(moments[0].bytes / MIB):.1f}"]
    stairs += [f"H{x(moment.time_us):.1f}V{y(moment.bytes / MIB):.1f}" for moment in moments[1:]]
    line = "".join(stairs)
    highest = max(moments, key=lambda moment: moment.bytes)
    who = highest.owner
    at = x(highest.time_us)
    side = "end" if at > width / 2 else "start"
    parts = [
        *frame(area, marks(x, 4 if width < 500 else 8, 1e3), marks(y, 4), (across, up)),
        element("path", class_="area", d=f"{line}V{y(0):.1f}Z"),
        element("path", class_="stair", d=line),
        element("circle", element("title", who), class_="peak", cx=at, cy=y(most / MIB), r=4),
        element("text", byte_size(most), class_="value", x=at, y=y(most / MIB) - 7, text_anchor=side),
    ]
    said = f"{byte_size(most)}, {microseconds(highest.time_us)}, {who}"
    return picture(width, height, title, said, *parts)
