"""Do convolutions dominate, and which of them run far below what the device can do?

Where most of the time is convolution, everything else is a detail: a faster convolution (INT8, a better
kernel) is the whole gain. Among them an expert looks for the ones far under the roofline: few channels,
odd shapes or a slow kernel make those slow, not the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import of_kind, percent, rows, share_of, slowest

name = "convolutions"
DOMINATES = 0.5
WORTH_NAMING = 0.01
"""Operators under this share are not named as inefficient: nothing is gained by mending them."""


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, "convolution")
    share = share_of(found)
    if share < DOMINATES:
        return
    inefficient = sorted(
        (o for o in found if o.share >= WORTH_NAMING and not math.isnan(o.efficiency)), key=lambda o: o.efficiency
    )[:5]
    reached = (
        f" The least efficient reaches {percent(inefficient[0].efficiency)} of its roofline." if inefficient else ""
    )
    yield Finding(
        rule=name,
        title=f"Convolutions take {percent(share)} of the time",
        detail=f"{len(found)} convolutions take {percent(share)} of the operators' time "
        f"({profile.precision or 'as executed'}, measured by {profile.tool}).{reached}",
        severity="info",
        share=share,
        evidence=rows(inefficient or slowest(found)),
        argues_for=("int8", "bf16", "fp16"),
        remedy="Run the convolutions in a lower precision: INT8 first, then half precision.",
    )
