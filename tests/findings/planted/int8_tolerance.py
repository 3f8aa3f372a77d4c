"""Planted for the rule `int8_tolerance`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = tuple(
        Operator(
            f"conv{i}",
            "Conv",
            1000,
            inputs=((1, 64, 80, 80), (64, 64, 3, 3)),
            outputs=((1, 64 + (i == 7), 80, 80),),
            dtype="fp32",
        )
        for i in range(8)
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """The same network of depthwise convolutions, which INT8 hurts."""
    operators = tuple(
        Operator(
            f"conv{i}",
            "Conv",
            1000,
            inputs=((1, 64, 80, 80), (64, 1, 3, 3)),
            outputs=((1, 64 + (i == 7), 80, 80),),
            dtype="fp32",
        )
        for i in range(8)
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS
