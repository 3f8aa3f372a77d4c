"""Do activation functions run as operators of their own instead of inside the convolution before them?

SiLU exported as Sigmoid and Mul reads and writes each feature map twice more; a runtime that fuses it gets it for free.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.findings._evidence import by_type, of_kind, percent, share_of

name = "activations"
VISIBLE = 0.05


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, "activation")
    share = share_of(found)
    if share < VISIBLE:
        return
    yield Finding(
        rule=name,
        title=f"Activation functions of their own take {percent(share)} of the time",
        detail=f"{len(found)} activation functions are not fused into the operator before them and take "
        f"{percent(share)} of the operators' time.",
        severity="info",
        share=share,
        evidence=by_type(found),
        argues_for=("other-runtime", "simplify"),
        remedy="Use a runtime that fuses them, or a network with a cheaper activation (ReLU, hard-swish).",
    )
