"""Planted for the rule `matmuls`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator("qkv", "MatMul", 8000, inputs=((1, 128, 384), (384, 1152)), outputs=((1, 128, 1152),), dtype="fp32"),
        Operator("norm", "LayerNormalization", 2000, inputs=((1, 128, 384),), outputs=((1, 128, 384),), dtype="fp32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """Normalisation, not the matrix product, is what takes the time."""
    operators = (
        Operator("qkv", "MatMul", 3000, inputs=((1, 128, 384), (384, 1152)), outputs=((1, 128, 1152),), dtype="fp32"),
        Operator("norm", "LayerNormalization", 7000, inputs=((1, 128, 384),), outputs=((1, 128, 384),), dtype="fp32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def fires_on_ascend_types() -> tuple[Profile, Facts]:
    operators = (
        Operator("mm", "MatMulV2", 7000, dtype="fp16", kernel="AI_CORE"),
        Operator("quant", "AscendQuant", 3000, dtype="fp16", kernel="AI_VECTOR_CORE"),
    )
    return Profile("msprof", "planted", "fp16", 10_000.0, operators), Facts("planted", "cann")
