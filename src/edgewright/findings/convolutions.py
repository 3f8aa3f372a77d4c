"""Do convolutions dominate, and which of them run far below what the device can do?

Where most of the time is convolution, everything else is a detail: a faster convolution (INT8, a better
kernel) is the whole gain. Among them an expert looks for the ones far under the roofline: few channels,
odd shapes or a slow kernel make those slow, not the arithmetic. Ascend counts it: mac_ratio is the part of a
convolution's time in which the matrix unit works at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.roofline import MEMORY
from edgewright.findings._evidence import of_kind, percent, rows, share_of, slowest

name = "convolutions"
DOMINATES = 0.5
STARVED = 0.3
"""A convolution whose matrix unit works less than this part of its time is slow for another reason than arithmetic."""
VISIBLE = 0.1
WORTH_NAMING = 0.01
"""Operators under this share are not named as inefficient: nothing is gained by mending them."""


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, "convolution")
    share = share_of(found)
    yield from _starved(found)
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


def _starved(convolutions: list[Operator]) -> Iterator[Finding]:
    """By the device's own counters, where a profiler read them."""
    slow = [o for o in convolutions if o.counters.get("mac_ratio", 1.0) < STARVED and o.share >= WORTH_NAMING]
    share = share_of(slow)
    if share < VISIBLE:
        return
    slow.sort(key=lambda o: -o.share)
    least = min(o.counters["mac_ratio"] for o in slow)
    memory = share_of(o for o in slow if o.bound == MEMORY)
    yield Finding(
        rule=name,
        title=f"Convolutions that leave the matrix unit idle take {percent(share)} of the time",
        detail=f"In {len(slow)} convolutions the matrix unit works less than {percent(STARVED)} of the time (mac "
        f"ratio; the least {percent(least)}); memory holds back {percent(memory)} of the operators' time there.",
        severity="warning",
        share=share,
        evidence=rows(slow[:5]),
        argues_for=("int8", "simplify", "batch"),
        remedy="Give these layers channels in multiples of 16, a larger batch, or fewer bytes (INT8, the small-channel "
        "option for the first layer).",
    )
