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


ASCEND = Facts("planted", "cann")
"""An imported capture: nothing of the device was measured."""


def fires_beside_a_busy_host() -> tuple[Profile, Facts]:
    """The host works all the time; the device waits for it."""
    timeline = (
        Span("conv", "compute", 0.0, 2_000.0, "stream 3"),
        Span("AscendCL@aclmdlExecute", "CANN", 0.0, 10_000.0, "host CANN 1"),
        Span("trans", "compute", 8_000.0, 2_000.0, "stream 3"),
    )
    return Profile("msprof", "planted", "fp16", 10_000.0, (), timeline=timeline), ASCEND


def fires_by_phases() -> tuple[Profile, Facts]:
    """step_trace_time sums up the idle time and gives no timeline."""
    phases = {"compute": 6_000.0, "communication": 1_000.0, "idle": 3_000.0}
    return Profile("torch_npu", "planted", "fp16", 10_000.0, (), phases=phases), ASCEND


def silent_by_phases() -> tuple[Profile, Facts]:
    phases = {"compute": 9_900.0, "idle": 100.0}
    return Profile("torch_npu", "planted", "fp16", 10_000.0, (), phases=phases), ASCEND
