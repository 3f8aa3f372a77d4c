"""Planted for the rule `memory_bound`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator(
            "conv", "Conv", 5000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "add",
            "Add",
            5000,
            inputs=((1, 64, 160, 160), (1, 64, 160, 160)),
            outputs=((1, 64, 160, 160),),
            dtype="fp32",
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """A tenth of the time is bound by memory, the rest by arithmetic."""
    operators = (
        Operator(
            "conv", "Conv", 9000, inputs=((1, 64, 80, 80), (64, 64, 3, 3)), outputs=((1, 64, 80, 80),), dtype="fp32"
        ),
        Operator(
            "add",
            "Add",
            1000,
            inputs=((1, 64, 160, 160), (1, 64, 160, 160)),
            outputs=((1, 64, 160, 160),),
            dtype="fp32",
        ),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


ASCEND = Facts("planted", "cann")
"""An imported capture: nothing of the device was measured."""


def _kernel(name: str, kind: str, duration_us: float, bound: str) -> Operator:
    return Operator(name, kind, duration_us, dtype="fp16", kernel="AI_CORE", bound=bound)


def fires_by_the_device_s_counters() -> tuple[Profile, Facts]:
    operators = (_kernel("trans", "TransData", 4000, "memory"), _kernel("conv", "Conv2D", 6000, "compute"))
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), ASCEND


def silent_by_the_device_s_counters() -> tuple[Profile, Facts]:
    operators = (_kernel("trans", "TransData", 1000, "memory"), _kernel("mm", "MatMulV2", 9000, "compute"))
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), ASCEND
