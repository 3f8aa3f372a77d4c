"""Planted for the rule `transfers`: figures made up so that it must, or must not, fire."""

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
        phases={"host_to_device": 900.0, "compute": 10_000.0, "device_to_host": 300.0},
    ), FACTS


def silent() -> tuple[Profile, Facts]:
    """Transfers are there and cost 0.3 %."""
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
        phases={"host_to_device": 20.0, "compute": 10_000.0, "device_to_host": 10.0},
    ), FACTS


ASCEND = Facts("planted", "cann")
"""An imported capture: nothing of the device was measured."""


def fires_without_directions() -> tuple[Profile, Facts]:
    """MEMCPY_ASYNC of task_time: how long, not which way."""
    operators = (Operator("conv", "Conv2D", 8000, dtype="fp16", kernel="AI_CORE"),)
    phases = {"compute": 8_000.0, "transfer": 1_500.0, "idle": 500.0}
    return Profile("msprof", "planted", "fp16", 10_000.0, operators, phases=phases), ASCEND


def silent_without_directions() -> tuple[Profile, Facts]:
    operators = (Operator("conv", "Conv2D", 9000, dtype="fp16", kernel="AI_CORE"),)
    phases = {"compute": 9_000.0, "transfer": 40.0, "idle": 960.0}
    return Profile("msprof", "planted", "fp16", 10_000.0, operators, phases=phases), ASCEND
