"""Is the network waiting for memory rather than for arithmetic?

By the roofline an operator under the ridge (few operations a byte) cannot use the device's peak: fewer bytes help it
(INT8, half precision, fusion), more arithmetic units do not. Where the roofline is not known, a profiler's counters
may tell: Ascend's memory_bound sets the pipe that loads against the ones that compute. The evidence sets the shares
side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.core.roofline import COMPUTE, MEMORY
from edgewright.findings._evidence import by_type, percent, share_of

name = "memory_bound"
VISIBLE = 0.25


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = [operator for operator in profile.operators if operator.bound == MEMORY]
    share = share_of(found)
    if share < VISIBLE:
        return
    arithmetic = share_of(operator for operator in profile.operators if operator.bound == COMPUTE)
    unknown = max(0.0, 1 - share - arithmetic)
    known = facts.bandwidth > 0
    judge = "the roofline" if known else "the device's own counters"
    measured = f" ({facts.bandwidth:.3g} GB/s measured)" if known else ""
    yield Finding(
        rule=name,
        title=f"Memory-bound operators take {percent(share)} of the time",
        detail=f"By {judge} {percent(share)} of the operators' time is bound by memory{measured}, "
        f"{percent(arithmetic)} by arithmetic; of {percent(unknown)} it is not known.",
        severity="info",
        share=share,
        evidence=by_type(found)[:8],
        argues_for=("int8", "bf16", "fp16", "simplify"),
        remedy="Move fewer bytes: a lower precision, fused operators, a smaller input.",
    )
