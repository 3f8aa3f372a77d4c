"""Planted for the rule `cpu_fallback`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator("conv", "Conv2D", 8000, dtype="fp16", kernel="AI_CORE"),
        Operator("nms", "NonMaxSuppression", 2000, dtype="fp32", kernel="AI_CPU"),
    )
    return Profile("planted", "planted", "fp16", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """Everything runs on the CPU because the device is one: nothing fell back."""
    operators = (
        Operator("conv", "Conv", 8000, dtype="fp32", kernel="CPUExecutionProvider"),
        Operator("nms", "NonMaxSuppression", 2000, dtype="fp32", kernel="CPUExecutionProvider"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def fires_on_ai_cpu() -> tuple[Profile, Facts]:
    """As msprof names the cores: AI_CPU is the chip's own CPU, AI_CORE the accelerator."""
    operators = (
        Operator("conv", "Conv2D", 8000, dtype="fp16", kernel="AI_CORE"),
        Operator("topk", "TopKD", 2000, dtype="fp16", kernel="AI_CPU"),
    )
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), Facts("planted", "cann")
