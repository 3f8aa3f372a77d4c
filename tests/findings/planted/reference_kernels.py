"""Planted for the rule `reference_kernels`: figures made up so that it must, or must not, fire."""

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile

FACTS = Facts("planted", "planted", cores=2, threads=2, peaks={"fp32": 100, "int8": 350}, bandwidth=10)


def fires() -> tuple[Profile, Facts]:
    operators = (
        Operator("conv", "Convolution", 8000, dtype="fp32", kernel="brgconv_avx512_f32"),
        Operator("roll", "Concat", 2000, dtype="fp32", kernel="ref_any_f32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS


def silent() -> tuple[Profile, Facts]:
    """ "ref" inside another word is no reference kernel."""
    operators = (
        Operator("conv", "Convolution", 8000, dtype="fp32", kernel="brgconv_avx512_f32"),
        Operator("roll", "Concat", 2000, dtype="fp32", kernel="jit_prefetch_avx512_f32"),
    )
    return Profile("planted", "planted", "fp32", 10_000.0, operators), FACTS
