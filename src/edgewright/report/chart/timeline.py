"""The timeline of one inference: a lane a track, a bar a span, coloured by kind. The page's script zooms it.

The drawing stretches to whatever width it is given, so it holds no text; names are in the bars' titles.
"""

from __future__ import annotations

from markupsafe import Markup

from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Profile
from edgewright.report.chart.svg import Raw, element
from edgewright.report.numbers import microseconds

LANE, GAP = 36.0, 4.0
MOST = 3000
"""Spans drawn at most; beyond it the shortest are left out, and the page says how many."""


def tracks(profile: Profile) -> list[str]:
    return list(dict.fromkeys(span.track for span in profile.timeline))


def extent_us(profile: Profile) -> float:
    return max((span.start_us + span.duration_us for span in profile.timeline), default=0.0)


def left_out(profile: Profile) -> int:
    return max(0, len(profile.timeline) - MOST)


def draw(profile: Profile, title: str, description: str) -> Markup:
    """The SVG; its x axis is microseconds (`viewBox` 0…extent), its y axis pixels."""
    lanes, end = tracks(profile), extent_us(profile) or 1.0
    spans = sorted(profile.timeline, key=lambda span: -span.duration_us)[:MOST]
    bars = [
        element(
            "rect",
            element("title", f"{span.name} · {span.category} · {microseconds(span.duration_us)}"),
            class_=f"k-{kind_of(span.category)}",
            x=span.start_us,
            y=lanes.index(span.track) * (LANE + GAP),
            width=max(span.duration_us, end / 5000),
            height=LANE,
        )
        for span in sorted(spans, key=lambda span: span.start_us)
    ]
    height = len(lanes) * (LANE + GAP) - GAP if lanes else LANE
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *bars,
        class_="timeline",
        viewBox=Raw(f"0 0 {end:.2f} {height:g}"),
        preserveAspectRatio="none",
        data_extent=f"{end:.2f}",
        style=f"height:{height:g}px",
        role="img",
        aria_label=f"{title}. {description}",
    )
