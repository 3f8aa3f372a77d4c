"""Did operators fall back to a reference kernel, the slow but complete one every runtime keeps?

OpenVINO says `ref_any_f32` or `ref_f32`, others `reference`: no vector code was found for this shape, layout
or data type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import percent, rows, share_of, slowest

name = "reference_kernels"
VISIBLE = 0.02

_REFERENCE = re.compile(r"(^|[_:. ])(ref|reference|naive)([_:. ]|$)", re.IGNORECASE)


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = [operator for operator in profile.operators if _REFERENCE.search(operator.kernel)]
    share = share_of(found)
    if share < VISIBLE:
        return
    kernels = ", ".join(sorted({operator.kernel for operator in found})[:3])
    yield Finding(
        rule=name,
        title=f"Operators on reference kernels take {percent(share)} of the time",
        detail=f"{len(found)} operators run on a reference kernel ({kernels}) and take "
        f"{percent(share)} of the operators' time.",
        severity="warning",
        share=share,
        evidence=rows(slowest(found)),
        argues_for=("simplify", "other-runtime"),
        remedy="Change the operator's layout, shape or data type so that an optimised kernel applies, or take it "
        "out of the graph.",
    )
