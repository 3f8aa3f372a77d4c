"""Planted for the rule `gaps`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile, Span

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 5000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 3000, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile(
        "planted",
        "planted",
        "fp32",
        10_000.0,
        operators,
        timeline=(Span("conv", "Conv", 0.0, 5_000.0), Span("cat", "Concat", 7_000.0, 3_000.0)),
    ), FACTS


def silent() -> tuple[Profile, Facts]:
    """One follows the other almost at once."""
    operators = (
        Operator(
            "conv", "Conv", 5000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 3000, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
    )
    return Profile(
        "planted",
        "planted",
        "fp32",
        10_000.0,
        operators,
        timeline=(Span("conv", "Conv", 0.0, 5_000.0), Span("cat", "Concat", 5_010.0, 3_000.0)),
    ), FACTS
