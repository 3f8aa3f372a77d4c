"""Do the heavy operators use the device at all?

Convolutions and matrix products bound by arithmetic should come near the measured peak. Far below it (at batch 1, or
with fewer threads than cores) the device has room: threads, streams or a larger batch fill it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.roofline import COMPUTE
from edgewright.findings._evidence import of_kind, percent, rows, share_of

name = "utilisation"
LOW = 0.3
HEAVY = 0.2
"""Below this share of the time the heavy operators' efficiency says little about the whole."""


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    heavy = [o for o in of_kind(profile, "convolution", "matmul") if o.bound == COMPUTE and o.duration_us > 0]
    found = [o for o in heavy if not math.isnan(o.efficiency)]  # counters alone tell what binds, not how far it gets
    share = share_of(found)
    if share < HEAVY:
        return
    reached = sum(o.efficiency * o.duration_us for o in found) / sum(o.duration_us for o in found)
    if reached >= LOW:
        return
    batch = _batch(found[0])
    threads = f" {facts.threads} of {facts.cores} cores were in use." if facts.threads < facts.cores else ""
    yield Finding(
        rule=name,
        title=f"The heavy operators reach {percent(reached)} of what the device can do",
        detail=f"Operators bound by arithmetic ({percent(share)} of the time) reach {percent(reached)} of the measured "
        f"peak{f' at batch {batch}' if batch else ''}.{threads}",
        severity="warning",
        share=share,
        evidence=rows(sorted(found, key=lambda o: o.efficiency)[:5]),
        argues_for=("threads", "batch", "throughput"),
        remedy="Use all cores, several streams or a larger batch where latency allows.",
    )


def _batch(operator: Operator) -> int:
    return operator.inputs[0][0] if operator.inputs and operator.inputs[0] else 0
