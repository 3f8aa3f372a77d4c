"""How much time goes into moving data: Concat, Upsample, Transpose, Reorder, Split, Cast, Reshape?

None of these compute anything. Concat and Upsample of a feature pyramid copy whole feature maps; transposes and
reorders appear where neighbours disagree on the memory layout. A better graph or another runtime does
without many of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.operator_kind import MOVES_DATA, kind_of
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import by_type, of_kind, percent, share_of

name = "copies"
VISIBLE = 0.05


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, *MOVES_DATA)
    share = share_of(found)
    if share < VISIBLE:
        return
    table = by_type(found)
    worst = " and ".join(str(row["type"]) for row in table[:2])
    relayout = share_of(o for o in found if kind_of(o.type) == "layout")
    yield Finding(
        rule=name,
        title=f"Copies and layout changes take {percent(share)} of the time",
        detail=f"{len(found)} operators that only move data take {percent(share)} of the operators' time, most of it "
        f"in {worst}; changes of layout alone take {percent(relayout)}.",
        severity="warning" if share >= 2 * VISIBLE else "info",
        share=share,
        evidence=table[:8],
        argues_for=("simplify", "split-head", "layout"),
        remedy="Simplify the graph, keep one memory layout from input to output, and leave the head's decoding "
        "out of it.",
    )
