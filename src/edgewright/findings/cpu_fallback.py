"""Did an accelerator hand operators back to the CPU?

A fallback is never silent: beside the slow operator itself, each costs two transfers and a synchronisation. Ascend
names them AI_CPU or HOST_CPU; ONNX Runtime lists the CPU provider beside the accelerator's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.findings._evidence import percent, rows, share_of, slowest

name = "cpu_fallback"

_ON_CPU = re.compile(r"AI_?CPU|HOST_?CPU|CPUExecutionProvider|fallback", re.IGNORECASE)


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = [operator for operator in profile.operators if _ON_CPU.search(operator.kernel)]
    if not found or not any(_on_accelerator(operator) for operator in profile.operators):
        return
    share = share_of(found)
    yield Finding(
        rule=name,
        title=f"{len(found)} operators fell back to the CPU: {percent(share)} of the time",
        detail=f"{len(found)} of {len(profile.operators)} operators ran on the CPU instead of the accelerator and take "
        f"{percent(share)} of the operators' time, transfers not counted.",
        severity="warning",
        share=share,
        evidence=rows(slowest(found)),
        argues_for=("simplify", "split-head"),
        remedy="Replace these operators with ones the accelerator has, or cut them out of the graph.",
    )


def _on_accelerator(operator: Operator) -> bool:
    return bool(operator.kernel) and not _ON_CPU.search(operator.kernel)
