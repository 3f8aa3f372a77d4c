"""Is preparing the input (decode, resize, colour order, scaling, layout) a visible share of a request?

Scaling and transposing an image in Python costs more than it looks; as operators of the graph (uint8 NHWC in) it is
fused into the first convolution and runs on all cores.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import percent
from edgewright.findings._phases import phase_rows, phase_share

name = "input_preparation"
VISIBLE = 0.03


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    share = phase_share(profile, "preprocess")
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"Input preparation takes {percent(share)} of a request",
        detail=f"Pre-processing takes {profile.phases['preprocess'] / 1e3:.2g} ms, {percent(share)} of a request from "
        "decoded pixels to predictions.",
        severity="warning" if share >= 2 * VISIBLE else "info",
        share=share,
        evidence=phase_rows(profile),
        argues_for=("fold-preprocess",),
        remedy="Fold colour order, scaling and layout into the graph, which then takes uint8 pixels as they are.",
    )
