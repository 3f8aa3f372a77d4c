"""Are most convolutions of the kind that tolerates INT8?

Experience names the ones that do not: the first layer (raw pixels), the last ones (boxes and scores side by side) and
depthwise convolutions, whose channels differ too much in range for few scales (Sheng et al., "A quantization-friendly
separable convolution for MobileNets", 2018). This only tells what to expect and what to keep in float first if
accuracy suffers; the check decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Operator, Profile
from edgewright.core.roofline import precision_of
from edgewright.findings._evidence import of_kind, percent, rows, share_of

name = "int8_tolerance"
MOST = 0.5
OUTPUTS = 6
"""More convolutions than this of one width are no set of outputs."""


def look(profile: Profile, facts: Facts) -> Iterator[Finding]:
    found = of_kind(profile, "convolution")
    if len(found) < 3 or any(precision_of(o.dtype) == "int8" for o in found):
        return
    delicate = {id(found[0]), *(id(o) for o in _last_ones(found)), *(id(o) for o in found if is_depthwise(o))}
    tolerant = [operator for operator in found if id(operator) not in delicate]
    share = share_of(tolerant)
    if len(tolerant) / len(found) < MOST or share < MOST * share_of(found):
        return
    yield Finding(
        rule=name,
        title=f"{len(tolerant)} of {len(found)} convolutions usually tolerate INT8: {percent(share)} of the time",
        detail=f"{len(tolerant)} of {len(found)} convolutions are neither first, last nor depthwise, the kinds that "
        f"lose accuracy in INT8; they take {percent(share)} of the operators' time. The others are listed.",
        severity="info",
        share=share,
        evidence=rows([operator for operator in found if id(operator) in delicate][:8]),
        argues_for=("int8", "mixed"),
        remedy="Quantise them all first; if accuracy suffers, keep the listed ones in float.",
    )


def is_depthwise(operator: Operator) -> bool:
    """One input channel a filter: weight [C, 1, k…] (or OpenVINO's [C, 1, 1, k…]) over data with C > 1 channels."""
    if len(operator.inputs) < 2 or len(operator.inputs[0]) < 3:
        return False
    data = operator.inputs[0]
    weight = next((s for s in operator.inputs[1:] if len(s) in (len(data), len(data) + 1)), None)
    return weight is not None and data[1] > 1 and all(n == 1 for n in weight[1 : 1 + len(weight) - len(data) + 1])


def _last_ones(found: list[Operator]) -> list[Operator]:
    """The output convolutions. A detector has several of as many channels, which runtimes may run at any time;
    where many convolutions have that number of channels it tells nothing, and only those at the very end count."""
    alike = [operator for operator in found if _channels(operator) == _channels(found[-1]) != 0]
    return alike if 0 < len(alike) <= OUTPUTS else [o for o in found[-3:] if o in alike] or found[-1:]


def _channels(operator: Operator) -> int:
    return operator.outputs[0][1] if operator.outputs and len(operator.outputs[0]) > 1 else 0
