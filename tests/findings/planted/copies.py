"""Planted for the rule `copies`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 8000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 1200, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
        Operator("up", "Upsample", 800, inputs=((1, 64, 40, 40), (4,)), outputs=((1, 64, 80, 80),), dtype="fp32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """The same operators, but their copies cost 3 %."""
    operators = (
        Operator(
            "conv", "Conv", 9700, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "cat", "Concat", 200, inputs=((1, 64, 80, 80), (1, 64, 80, 80)), outputs=((1, 128, 80, 80),), dtype="fp32"
        ),
        Operator("up", "Upsample", 100, inputs=((1, 64, 40, 40), (4,)), outputs=((1, 64, 80, 80),), dtype="fp32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def fires_on_ascend_types() -> tuple[Profile, Facts]:
    """TransData is the layout change that Ascend's compiler inserts; MemcpyAsync a copy inside the .om."""
    operators = (
        Operator("conv", "Conv2D", 8000, dtype="fp16", kernel="AI_CORE"),
        Operator("trans_TransData_1", "TransData", 1500, dtype="fp16", kernel="AI_CORE"),
        Operator("copy", "MemcpyAsync", 500, dtype="fp16", kernel="MEMCPY_ASYNC"),
    )
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), Facts("planted", "cann")
