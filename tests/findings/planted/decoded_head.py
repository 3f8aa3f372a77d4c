"""Planted for the rule `decoded_head`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 8500, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator("decode", "Mul", 500, inputs=((1, 3, 80, 80, 2), (1,)), outputs=((1, 3, 80, 80, 2),), dtype="fp32"),
        Operator(
            "boxes", "Concat", 1000, inputs=((1, 19200, 85), (1, 4800, 85)), outputs=((1, 24000, 85),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """A feature pyramid concatenates maps of four dimensions: nothing is decoded."""
    operators = (
        Operator(
            "conv", "Conv", 8500, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 1500, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS
