"""Planted for the rule `utilisation`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 100000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """The convolution runs at 79 % of the peak."""
    operators = (
        Operator(
            "conv", "Conv", 6000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent_where_only_counters_told() -> tuple[Profile, Facts]:
    """An imported capture: bound by arithmetic, but no peak to hold it against."""
    operators = (Operator("mm", "MatMulV2", 9000, dtype="fp16", kernel="AI_CORE", bound="compute"),)
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), Facts("planted", "cann")
