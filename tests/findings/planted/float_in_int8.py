"""Planted for the rule `float_in_int8`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 6000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="int8"
        ),
        Operator(
            "head", "Conv", 4000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "int8", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """A float Concat in an INT8 graph is normal: only heavy operators count."""
    operators = (
        Operator(
            "conv", "Conv", 6000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="int8"
        ),
        Operator(
            "cat", "Concat", 4000, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "int8", 10_000.0, operators), FACTS
