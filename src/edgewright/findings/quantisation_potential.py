"""How much faster could INT8 make the whole, on this device?

Amdahl's law (1967) over the operators: those that INT8 can take (convolutions, matrix products) shrink by what the
device's measured peaks promise, never below what its memory allows (the roofline of the same operator in INT8); all
others stay. Where the measured INT8 peak is no better than the present one, there is nothing to gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.roofline import attainable_us, precision_of
from edgewright.findings._evidence import of_kind, percent, share_of

name = "quantisation_potential"
WORTH = 1.1
"""A predicted gain under this is within what a prediction of this kind can miss by."""


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = [o for o in of_kind(profile, "convolution", "matmul") if _precision(o, profile) in ("fp32", "fp16", "bf16")]
    if not found or "int8" not in facts.peaks:
        return
    quantisable = share_of(found)
    left = 1.0 - quantisable + sum(o.share / _gain(o, profile, facts) for o in found)
    gain = 1.0 / left if left > 0 else 1.0
    if gain < WORTH:
        return
    present = _precision(found[0], profile)
    ratio = facts.peaks["int8"] / facts.peaks[present] if facts.peaks.get(present) else math.nan
    yield Finding(
        rule=name,
        title=f"INT8 could make the network {gain:.1f} times as fast",
        detail=f"{percent(quantisable)} of the operators' time is in operators INT8 can take, and the device's INT8 "
        f"peak is {ratio:.1f} times its {present} peak (measured): by Amdahl's law {gain:.1f} times as fast as "
        f"{present} at best.",
        severity="info",
        share=quantisable,
        evidence=(
            {
                "quantisable_share": quantisable,
                "peak_int8": facts.peaks["int8"],
                f"peak_{present}": facts.peaks.get(present, math.nan),
                "peak_ratio": ratio,
                "predicted_gain": gain,
            },
        ),
        argues_for=("int8",),
        remedy="Build an INT8 candidate; whether its accuracy holds is what the check measures.",
    )


def _precision(operator: Operator, profile: Profile) -> str:
    return precision_of(operator.dtype) or precision_of(profile.precision)


def _gain(operator: Operator, profile: Profile, facts: Facts) -> float:
    """How many times faster the operator could be in INT8; at least 1, since it can stay as it is."""
    present = _precision(operator, profile)
    gain = attainable_us(operator, present, facts) / attainable_us(operator, "int8", facts)
    if math.isnan(gain):  # shapes unknown: the peaks alone
        gain = facts.peaks["int8"] / facts.peaks.get(present, math.inf)
    return max(1.0, gain)
