"""Do matrix products dominate, as in a transformer?

Where most of the time is MatMul, Gemm or attention, weights are what moves: dynamic INT8 shrinks them four
times without any calibration data, which is the first thing an expert tries on a language or sentence model.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import of_kind, percent, rows, share_of, slowest

name = "matmuls"
DOMINATES = 0.5


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, "matmul")
    share = share_of(found)
    if share < DOMINATES:
        return
    yield Finding(
        rule=name,
        title=f"Matrix products take {percent(share)} of the time",
        detail=f"{len(found)} matrix products take {percent(share)} of the operators' time.",
        severity="info",
        share=share,
        evidence=rows(slowest(found)),
        argues_for=("int8", "int8-dynamic", "bf16", "fp16"),
        remedy="Try dynamic INT8, which needs no calibration data, then half precision.",
    )
