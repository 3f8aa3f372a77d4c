"""Shapes, data types and formats of a kernel's operands, and what arithmetic they tell of.

Shapes stand as `"1,3,224,224;64,3,7,7"`, quotes included, one tensor between semicolons. Formats matter: a
convolution's operands are NC1HWC0 and FRACTAL_Z on the chip, whose dimensions are padded to 16 (32 in INT8)
channels; operations are counted with that padding, as the chip executes them.
"""

from __future__ import annotations

import math
import re

from edgewright.core import roofline
from edgewright.core.operator_kind import kind_of
from edgewright.core.profile import Operator
from edgewright.targets.cann.captures.table import NOTHING, Row, Table

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]

MAX_DIMENSION = 1 << 40


def shapes(table: Table, row: Row, column: str) -> Shapes:
    """() where the cell is N/A; a tensor without dimensions is a scalar, ()."""
    text = row.get(column, "").strip('"').strip()
    if text.upper() in NOTHING:
        return ()
    return tuple(_shape(table, part, column) for part in text.split(";"))


def names(row: Row, column: str) -> tuple[str, ...]:
    text = row.get(column, "").strip('"')
    return () if text.upper() in NOTHING else tuple(part.strip() for part in text.split(";"))


def precision(dtypes: tuple[str, ...]) -> str:
    """What the arithmetic ran in, by the first operand's type; "" where it is no name we know."""
    return next((known for dtype in dtypes[:1] if (known := roofline.precision_of(dtype))), "")


def moved_bytes(read: Shapes, read_types: tuple[str, ...], written: Shapes, written_types: tuple[str, ...]) -> float:
    """Bytes of all operands, each once and in its own type; 0 where a type or a shape is missing."""
    pairs = [*_typed(read, read_types), *_typed(written, written_types)]
    if not written or any(not roofline.precision_of(dtype) for _, dtype in pairs):
        return 0.0
    return float(sum(math.prod(shape) * roofline.item_bytes(dtype) for shape, dtype in pairs))


def operations(type_name: str, read: Shapes, written: Shapes, formats: tuple[str, ...]) -> float:
    """Operations of one call; 0 where the shapes do not tell."""
    kind = kind_of(type_name)
    if kind == "convolution":
        return _convolution(type_name, read, written, formats)
    if kind == "matmul" and any(name.startswith("FRACTAL") for name in formats):
        return _fractal_matmul(read, written)
    return roofline.flops(Operator("", type_name, 0.0, inputs=read, outputs=written))


def _convolution(type_name: str, read: Shapes, written: Shapes, formats: tuple[str, ...]) -> float:
    """2 × output elements × what one of them sums over, from the weight's shape in its format."""
    if len(read) < 2 or not written or len(formats) < 2 or re.search("transpose|backprop", type_name.lower()):
        return 0.0
    weight, form = read[1], formats[1].upper()
    depthwise = "depthwise" in type_name.lower()
    if form.startswith("FRACTAL_Z") and len(weight) == 4:  # (C1·kh·kw, N1, N0, C0)
        if depthwise and len(read[0]) == 5 and read[0][1]:
            inner = weight[0] / read[0][1]
        else:
            inner = 0.0 if depthwise else weight[0] * weight[3]
    elif len(weight) != 4:
        inner = 0.0
    elif form in ("NCHW", "ND", "NHWC"):
        inner = math.prod(weight[1:])
    else:
        inner = math.prod(weight[: 2 if depthwise else 3]) if form == "HWCN" else 0.0
    return 2.0 * math.prod(written[0]) * inner


def _fractal_matmul(read: Shapes, written: Shapes) -> float:
    """FRACTAL_NZ is (…, K1, M1, M0, K0): the inner dimension is K1 × K0."""
    if not read or not written or len(read[0]) < 4:
        return 0.0
    return 2.0 * math.prod(written[0]) * read[0][-4] * read[0][-1]


def _shape(table: Table, text: str, column: str) -> Shape:
    sizes = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(re.fullmatch(r"-?\d{1,13}", size) for size in sizes) or len(sizes) > 32:
        raise table.damaged(f"'{text[:60]}' under '{column}' is no shape")
    return tuple(map(int, sizes))


def _typed(tensors: Shapes, types: tuple[str, ...]) -> list[tuple[Shape, str]]:
    """Each tensor with its type; one without a type keeps "", which makes the sum unknown."""
    return [
        (shape, types[i] if i < len(types) else "")
        for i, shape in enumerate(tensors)
        if shape or (i < len(types) and types[i])
    ]
