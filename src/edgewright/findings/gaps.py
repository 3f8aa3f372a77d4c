"""Does the device wait between operators?

Gaps in the timeline are time in which nothing computes: launch overhead, synchronisation, a host that cannot keep
up. Many tiny operators show as many tiny gaps; one large gap points at a synchronisation or a fallback. What the host
did meanwhile (tracks that begin with "host") fills no gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile, Span
from edgewright.findings._evidence import percent
from edgewright.findings._phases import phase_rows, phase_share

name = "gaps"
VISIBLE = 0.1


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    spans = sorted(
        (s for s in profile.timeline if s.duration_us > 0 and not s.track.startswith("host")), key=lambda s: s.start_us
    )
    if len(spans) < 2:
        yield from _by_phases(profile)
        return
    idle = idle_stretches(spans)
    extent = max(s.start_us + s.duration_us for s in spans) - spans[0].start_us
    share = sum(length for length, _ in idle) / extent
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"Nothing computes for {percent(share)} of the time",
        detail=f"{len(idle)} gaps between operators add up to {percent(share)} of {extent / 1e3:.3g} ms.",
        severity="warning",
        share=share,
        evidence=tuple(row for _, row in sorted(idle, key=lambda gap: -gap[0])[:5]),
        argues_for=("batch", "throughput", "simplify"),
        remedy="Give the device more work a call (a larger batch, several streams) or fewer, larger operators.",
    )


def _by_phases(profile: Profile) -> Iterator[Finding]:
    """A profiler that gives no timeline may still have summed up the idle time (torch_npu's step_trace_time)."""
    share = phase_share(profile, "idle")
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"Nothing computes for {percent(share)} of the time",
        detail=f"{profile.tool} counts {profile.phases['idle'] / 1e3:.3g} ms of a step as idle: {percent(share)}.",
        severity="warning",
        share=share,
        evidence=phase_rows(profile),
        argues_for=("batch", "throughput", "simplify"),
        remedy="Give the device more work a call (a larger batch, several streams) or fewer, larger operators.",
    )


def idle_stretches(spans: Sequence[Span]) -> list[tuple[float, Mapping[str, object]]]:
    """(µs, evidence row) of each stretch covered by no span of any track; spans sorted by start."""
    found: list[tuple[float, Mapping[str, object]]] = []
    last, end = spans[0], spans[0].start_us + spans[0].duration_us
    for span in spans[1:]:
        if span.start_us > end:
            row = {"after": last.name, "before": span.name, "start_us": end, "duration_us": span.start_us - end}
            found.append((span.start_us - end, row))
        if span.start_us + span.duration_us > end:
            last, end = span, span.start_us + span.duration_us
    return found
