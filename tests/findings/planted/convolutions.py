"""Planted for the rule `convolutions`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 9000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 1000, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """Convolutions are there, but not most of the time."""
    operators = (
        Operator(
            "conv", "Conv", 4000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 6000, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


ASCEND = Facts("planted", "cann")
"""An imported capture: nothing of the device was measured."""


def _conv(name: str, duration_us: float, mac_ratio: float) -> Operator:
    counters = {"mac_ratio": mac_ratio, "mte2_ratio": 0.9}
    return Operator(name, "Conv2D", duration_us, dtype="fp16", kernel="AI_CORE", bound="memory", counters=counters)


def fires_by_mac_ratio() -> tuple[Profile, Facts]:
    """Ascend's counters: the first convolution leaves the matrix unit idle. It is not half of the time."""
    operators = (_conv("stem", 3000, 0.08), Operator("trans", "TransData", 7000, dtype="fp16", kernel="AI_CORE"))
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), ASCEND


def silent_with_a_busy_matrix_unit() -> tuple[Profile, Facts]:
    operators = (_conv("body", 4000, 0.75), Operator("trans", "TransData", 6000, dtype="fp16", kernel="AI_CORE"))
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), ASCEND
