"""Is finishing the output (decoding boxes, thresholds, NMS, softmax) a visible share of a request?"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import percent
from edgewright.findings._phases import phase_rows, phase_share

name = "output_processing"
VISIBLE = 0.03


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    share = phase_share(profile, "postprocess")
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"Output processing takes {percent(share)} of a request",
        detail=f"Post-processing takes {profile.phases['postprocess'] / 1e3:.2g} ms, {percent(share)} of a request.",
        severity="warning" if share >= 2 * VISIBLE else "info",
        share=share,
        evidence=phase_rows(profile),
        argues_for=("split-head",),
        remedy="Filter by score before decoding, so that only the surviving candidates are worked on.",
    )
