"""Which heavy operators still run in float inside a graph that was asked for in INT8?

"INT8" that leaves convolutions or matrix products in float pays for conversions on both sides and gains nothing there.
Either they were kept on purpose (accuracy), or the runtime could not take them: an expert wants to know which.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.core.roofline import precision_of
from edgewright.findings._evidence import of_kind, percent, rows, share_of, slowest

name = "float_in_int8"
VISIBLE = 0.02


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    if profile.precision not in ("int8", "mixed"):
        return
    heavy = of_kind(profile, "convolution", "matmul")
    found = [operator for operator in heavy if precision_of(operator.dtype) in ("fp32", "fp16", "bf16")]
    share = share_of(found)
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"{len(found)} heavy operators of the INT8 graph run in float: {percent(share)} of the time",
        detail=f"{len(found)} of {len(heavy)} convolutions and matrix products execute in float and take "
        f"{percent(share)} of the operators' time.",
        severity="warning" if profile.precision == "int8" else "info",
        share=share,
        evidence=rows(slowest(found)),
        argues_for=("int8",),
        remedy="See whether they were kept in float for accuracy; if not, quantise their inputs and weights too.",
    )
