"""Planted for the rule `input_preparation`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 10000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
    )
    return Profile(
        "planted",
        "planted",
        "fp32",
        10_000.0,
        operators,
        phases={"preprocess": 3000, "compute": 10000, "postprocess": 500},
    ), FACTS


def silent() -> tuple[Profile, Facts]:
    """Preparing the input costs 2 % of a request."""
    operators = (
        Operator(
            "conv", "Conv", 10000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
    )
    return Profile(
        "planted",
        "planted",
        "fp32",
        10_000.0,
        operators,
        phases={"preprocess": 200, "compute": 10000, "postprocess": 500},
    ), FACTS
