"""Does the graph decode every box itself, although nearly all of them are thrown away afterwards?

An exported detector often ends in Reshape, Transpose, Sigmoid, Mul and Concat over every anchor (1×3×80×80×85, then
1×25200×85). Only a few candidates survive the threshold: decoding those alone, outside the graph, is nearly free, and
scores and coordinates no longer share one INT8 scale.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.findings._evidence import by_type, percent, share_of

name = "decoded_head"
VISIBLE = 0.02
ANCHORS = 1000
"""A tensor with fewer rows than this is no list of every anchor."""

_DECODES = frozenset({"elementwise", "activation", "concat", "layout", "copy"})


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    if not any(kind_of(operator.type) == "convolution" for operator in profile.operators):
        return  # a transformer's activations have the shape of a list of boxes
    found = [operator for operator in profile.operators if _decodes(operator)]
    share = share_of(found)
    if share < VISIBLE or not any(len(shape) == 3 for operator in found for shape in operator.outputs):
        return
    yield Finding(
        rule=name,
        title=f"Decoding every box in the graph takes {percent(share)} of the time",
        detail=f"{len(found)} operators at the end of the graph decode all boxes, wanted or not: "
        f"{percent(share)} of the operators' time.",
        severity="warning" if share >= 2 * VISIBLE else "info",
        share=share,
        evidence=by_type(found),
        argues_for=("split-head",),
        remedy="Cut the graph before the decoding and decode only the candidates over the threshold.",
    )


def _decodes(operator: Operator) -> bool:
    return kind_of(operator.type) in _DECODES and any(_holds_all_boxes(shape) for shape in operator.outputs)


def _holds_all_boxes(shape: tuple[int, ...]) -> bool:
    """1×anchors×(5+classes), or 1×anchors a cell×h×w×(5+classes) in any order of the last three."""
    if len(shape) == 3:
        return max(shape[1:]) >= ANCHORS and min(shape[1:]) >= 2
    return len(shape) == 5 and shape[1] <= 9 and shape[1] * sorted(shape[2:])[0] * sorted(shape[2:])[1] >= ANCHORS
