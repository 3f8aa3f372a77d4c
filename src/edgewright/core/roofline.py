"""The roofline model: what an operator could reach on a device, and so how well it does.

    attainable = min(peak, intensity × bandwidth)

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009. Intensity is operations per byte moved; below peak ÷ bandwidth (the
ridge) an operator is bound by memory, above it by arithmetic. Bytes are counted as if every operand came
from and went to main memory, so an operator whose operands stayed in a cache can show an efficiency over 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from edgewright.core.facts import Facts
from edgewright.core.operator_kind import MOVES_DATA, kind_of
from edgewright.core.profile import Operator, Profile

COMPUTE, MEMORY = "compute", "memory"

_PRECISIONS = {
    "fp64": (8, "fp64 float64 f64 double"),
    "fp32": (4, "fp32 float32 f32 float single"),
    "fp16": (2, "fp16 float16 f16 half"),
    "bf16": (2, "bf16 bfloat16"),
    "int8": (1, "int8 uint8 i8 u8 s8 qint8 quint8 char byte"),
    "int4": (1, "int4 uint4 i4 u4"),
    "int16": (2, "int16 uint16 i16 u16 short"),
    "int32": (4, "int32 uint32 i32 u32 int"),
    "int64": (8, "int64 uint64 i64 u64 long"),
    "bool": (1, "bool boolean"),
}
_NAMES = {alias: name for name, (_, aliases) in _PRECISIONS.items() for alias in aliases.split()}


def precision_of(dtype: str) -> str:
    """One name for a precision: "f32", "FLOAT", "torch.float32" → "fp32"; "u8" → "int8"; "" where unknown."""
    name = dtype.strip().lower().removeprefix("torch.").removeprefix("dt_").removeprefix("tensor(").rstrip(")")
    return _NAMES.get(name, "")


def item_bytes(dtype: str) -> int:
    """Bytes of one element; 4 where the precision is not known."""
    precision = precision_of(dtype)
    return _PRECISIONS[precision][0] if precision else 4


_VIEWS = frozenset({"reshape", "flatten", "squeeze", "unsqueeze", "identity", "view", "shape", "shapeof"})
"""A new name or shape for the same bytes: whether anything moves, shapes do not tell."""


def flops(operator: Operator) -> float:
    """Operations per inference, from shapes; 0 where they do not tell.

    A multiplication and an addition count as two. Convolution: 2 × outputs × (input channels ÷ groups) × kernel
    area, from the weight's shape. Matrix product: 2 × outputs × inner dimension. One operation for each element
    of an element-wise operator, an activation, a pooling or a reduction (a lower bound), five for a normalisation.
    """
    if operator.flops > 0:
        return operator.flops
    count = _FLOPS.get(kind_of(operator.type))
    if not all(map(_is_known, operator.inputs + operator.outputs)):
        return 0.0
    return count(operator) * operator.calls if count else 0.0


def moved_bytes(operator: Operator) -> float:
    """Bytes read and written per inference, every operand once, in the precision executed; 0 where not known."""
    if operator.bytes > 0:
        return operator.bytes
    kind, written = kind_of(operator.type), sum(map(_elements, operator.outputs))
    if (
        kind == "boundary"
        or operator.type.lower().split("::")[-1] in _VIEWS
        or not written
        or not all(map(_is_known, operator.inputs + operator.outputs))
    ):
        return 0.0
    read = sum(map(_elements, operator.inputs))
    if operator.type.lower().startswith(("gather", "slice", "strided", "index", "embedding")):
        read = min(read, written)  # only what is picked is read, not the whole table
    return float((read + written) * item_bytes(operator.dtype) * operator.calls)


def attainable_us(operator: Operator, precision: str, facts: Facts) -> float:
    """The least time (µs) the roofline allows the operator in a precision; nan where a needed figure is missing.

    The bytes of the operator are scaled to the precision asked, so that "the same in int8" can be asked too.
    """
    work, bytes_here = flops(operator), moved_bytes(operator)
    if not work and kind_of(operator.type) not in MOVES_DATA:
        return math.nan  # it computes something, but how much the shapes do not tell
    moved = bytes_here * item_bytes(precision) / item_bytes(operator.dtype or precision)
    if moved <= 0 or facts.bandwidth <= 0:
        return math.nan
    arithmetic = _arithmetic_us(work, precision, facts)
    return max(arithmetic, moved / (facts.bandwidth * 1e3)) if not math.isnan(arithmetic) else math.nan


def annotate(profile: Profile, facts: Facts) -> Profile:
    """The profile with flops, bytes, share, efficiency and bound filled in for each operator.

    Shares are of the operators' summed time and add up to 1. What a profiler already counted (flops, bytes)
    is kept. Where shapes or the device's peaks are not known, efficiency and bound stay as they came: nan and ""
    unless the device's own counters told them.
    """
    total = sum(operator.duration_us for operator in profile.operators)
    annotated = tuple(_annotated(operator, profile.precision, total, facts) for operator in profile.operators)
    return replace(profile, operators=annotated)


def _annotated(operator: Operator, precision: str, total_us: float, facts: Facts) -> Operator:
    executed = precision_of(operator.dtype) or precision_of(precision)
    known = replace(operator, dtype=precision_of(operator.dtype) or operator.dtype or executed)
    work, moved = flops(known), moved_bytes(known)
    known = replace(known, flops=work, bytes=moved, share=operator.duration_us / total_us if total_us > 0 else 0.0)
    limit = attainable_us(known, executed, facts)
    if math.isnan(limit):
        return known  # its efficiency and bound stay as the profiler's own counters told them
    bound = COMPUTE if _arithmetic_us(work, executed, facts) >= moved / (facts.bandwidth * 1e3) else MEMORY
    efficiency = limit / operator.duration_us if operator.duration_us > 0 else math.nan
    return replace(known, efficiency=efficiency, bound=bound)


def _arithmetic_us(work: float, precision: str, facts: Facts) -> float:
    """Time the arithmetic alone needs; 1 GFLOP/s is 1000 operations a microsecond."""
    if work <= 0:
        return 0.0
    peak = facts.peaks.get(precision, 0.0)
    return work / (peak * 1e3) if peak > 0 else math.nan


def _is_known(shape: tuple[int, ...]) -> bool:
    return all(n >= 0 for n in shape)


def _elements(shape: tuple[int, ...]) -> int:
    """Elements of a shape, a scalar's being 1; 0 where a dimension is not known."""
    return math.prod(shape) if _is_known(shape) else 0


def _convolution(operator: Operator) -> float:
    if not operator.inputs or not operator.outputs:
        return 0.0
    data = operator.inputs[0]
    weight = next((s for s in operator.inputs[1:] if len(s) in (len(data), len(data) + 1) and len(s) >= 3), None)
    if weight is None or len(data) < 3:
        return 0.0
    kernel = math.prod(weight[1 + len(weight) - len(data) :])  # [O, I/g, k…], or OpenVINO's [g, O/g, I/g, k…]
    transposed = "transpose" in operator.type.lower() or "backprop" in operator.type.lower()
    return 2.0 * _elements(data if transposed else operator.outputs[0]) * kernel


_NOT_ONE_PRODUCT = re.compile("attention|lstm|gru|rnn|einsum")


def _matmul(operator: Operator) -> float:
    if _NOT_ONE_PRODUCT.search(operator.type.lower()):
        return 0.0
    if len(operator.inputs) < 2 or not operator.outputs or not operator.inputs[0]:
        return 0.0
    first, result = operator.inputs[0], operator.outputs[0]
    if len(first) == 2 and len(result) == 2:  # Gemm may transpose its first operand: the inner size is what is left
        inner = _elements(first) / result[0] if result[0] > 0 else 0.0
        second = operator.inputs[1]
        if len(second) == 2 and result[1] > 0 and _elements(second) / result[1] != inner:
            return 0.0  # the operands disagree on what is summed over
    else:
        inner = float(first[-1])
    return 2.0 * _elements(result) * max(inner, 0.0)


def _each_element(operator: Operator) -> float:
    shapes = operator.inputs + operator.outputs
    return float(max(map(_elements, shapes), default=0))


_FLOPS: dict[str, Callable[[Operator], float]] = {
    "convolution": _convolution,
    "matmul": _matmul,
    "elementwise": _each_element,
    "activation": _each_element,
    "pooling": _each_element,
    "reduction": _each_element,
    "quantise": _each_element,
    "normalisation": lambda operator: 5.0 * _each_element(operator),
}
