"""The roofline: operations and bytes from shapes, and what an operator could reach."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.facts import Facts
from edgewright.core.profile import Operator, Profile
from edgewright.core.roofline import annotate, attainable_us, flops, item_bytes, moved_bytes, precision_of

FACTS = Facts("planted", "planted", peaks={"fp32": 100, "int8": 400}, bandwidth=10)


@pytest.mark.parametrize(
    ("operator", "count"),
    [
        (Operator("conv", "Conv", 1, inputs=((1, 3, 640, 640), (16, 3, 6, 6), (16,)), outputs=((1, 16, 320, 320),)),
         2 * 16 * 320 * 320 * 3 * 36),
        (Operator("depthwise", "Conv", 1, inputs=((1, 32, 8, 8), (32, 1, 3, 3)), outputs=((1, 32, 8, 8),)),
         2 * 32 * 64 * 9),
        (Operator("grouped", "GroupConvolution", 1, inputs=((1, 32, 8, 8), (4, 8, 8, 3, 3)), outputs=((1, 32, 8, 8),)),
         2 * 32 * 64 * 8 * 9),
        (Operator("int8", "QLinearConv", 1, inputs=((1, 4, 8, 8), (), (), (4, 4, 1, 1), (4,)), outputs=((1, 4, 8, 8),)),
         2 * 4 * 64 * 4),
        (Operator("transposed", "ConvTranspose", 1, inputs=((1, 8, 4, 4), (8, 2, 2, 2)), outputs=((1, 2, 8, 8),)),
         2 * 8 * 16 * 2 * 4),
        (Operator("matmul", "MatMul", 1, inputs=((1, 128, 384), (384, 1152)), outputs=((1, 128, 1152),)),
         2 * 128 * 384 * 1152),
        (Operator("gemm of a transposed A", "Gemm", 1, inputs=((64, 10), (64, 5)), outputs=((10, 5),)),
         2 * 10 * 5 * 64),
        (Operator("add", "Add", 1, inputs=((1, 8, 4), ()), outputs=((1, 8, 4),)), 32),
        (Operator("norm", "LayerNormalization", 1, inputs=((2, 8),), outputs=((2, 8),)), 5 * 16),
        (Operator("copy", "Concat", 1, inputs=((4,), (4,)), outputs=((8,),)), 0),
        (Operator("blocked", "Conv2D", 1, inputs=((1, 1, 8, 8, 16), (9, 1, 16, 16)), outputs=((1, 1, 8, 8, 16),)), 0),
        (Operator("not one product", "LSTM", 1, inputs=((1, 8, 16), (64, 16)), outputs=((1, 8, 16),)), 0),
        (Operator("counted by the profiler", "Conv", 1, flops=7.0), 7),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else "",
)  # fmt: skip
def test_operations_follow_from_shapes(operator: Operator, count: float) -> None:
    assert flops(operator) == count


def test_calls_multiply() -> None:
    once = Operator("add", "Add", 1, inputs=((8,),), outputs=((8,),), dtype="fp32")
    assert flops(replace(once, calls=3)) == 3 * flops(once)
    assert moved_bytes(replace(once, calls=3)) == 3 * moved_bytes(once)


def test_bytes_are_every_operand_once_in_the_precision_executed() -> None:
    concat = Operator("c", "Concat", 1, inputs=((1, 4), (1, 4)), outputs=((1, 8),), dtype="f32")
    assert moved_bytes(concat) == (4 + 4 + 8) * 4
    assert moved_bytes(replace(concat, dtype="u8")) == 16
    assert moved_bytes(replace(concat, inputs=((1, -1),))) == 0, "an open dimension: not known"
    assert moved_bytes(replace(concat, type="Reshape")) == 0, "a new shape for the same bytes: not known"


def test_picking_rows_does_not_read_the_whole_table() -> None:
    embedding = Operator("e", "Gather", 1, inputs=((30000, 384), (1, 8)), outputs=((1, 8, 384),), dtype="fp32")
    assert moved_bytes(embedding) == 2 * 8 * 384 * 4


def test_a_heavy_convolution_is_bound_by_arithmetic_and_a_copy_by_memory() -> None:
    shape = (1, 64, 80, 80)
    conv = Operator("conv", "Conv", 9000.0, inputs=(shape, (64, 64, 3, 3)), outputs=(shape,), dtype="fp32")
    copy = Operator("copy", "Transpose", 1000.0, inputs=(shape,), outputs=(shape,), dtype="fp32")
    seen = annotate(Profile("t", "d", "fp32", 0, (conv, copy)), FACTS).operators
    assert [o.bound for o in seen] == ["compute", "memory"]
    assert math.isclose(seen[0].efficiency, 2 * 64 * 64 * 9 * 6400 / 100e3 / 9000)
    assert math.isclose(seen[1].efficiency, 2 * 64 * 6400 * 4 / 10e3 / 1000)
    assert math.isclose(sum(o.share for o in seen), 1.0)


def test_the_same_operator_in_int8_moves_a_quarter_and_computes_at_the_int8_peak() -> None:
    shape = (1, 64, 80, 80)
    conv = Operator("conv", "Conv", 9000.0, inputs=(shape, (64, 64, 3, 3)), outputs=(shape,), dtype="fp32")
    assert math.isclose(attainable_us(conv, "fp32", FACTS) / attainable_us(conv, "int8", FACTS), 4.0)


def test_what_is_not_known_is_nan_and_not_nought() -> None:
    unknown = Operator("x", "Conv", 5.0, dtype="fp32")
    half = Operator("h", "Conv", 5.0, inputs=((1, 4, 8, 8), (4, 4, 1, 1)), outputs=((1, 4, 8, 8),), dtype="fp16")
    for operator in annotate(Profile("t", "d", "fp32", 0, (unknown, half)), FACTS).operators:
        assert math.isnan(operator.efficiency) and operator.bound == ""


@pytest.mark.parametrize(
    ("written", "name", "size"),
    [("f32", "fp32", 4), ("torch.bfloat16", "bf16", 2), ("FLOAT16", "fp16", 2), ("DT_INT8", "int8", 1),
     ("u8", "int8", 1), ("tensor(float)", "fp32", 4), ("strange", "", 4), ("", "", 4)],
)  # fmt: skip
def test_precisions_have_one_name(written: str, name: str, size: int) -> None:
    assert precision_of(written) == name
    assert item_bytes(written) == size


shapes = st.lists(st.integers(-1, 64), max_size=5).map(tuple)


@given(
    st.sampled_from(["Conv", "MatMul", "Gemm", "Concat", "Add", "LSTM", "Gather", "nothing known", "aten::conv2d"]),
    st.lists(shapes, max_size=4).map(tuple),
    st.lists(shapes, max_size=2).map(tuple),
    st.floats(0, 1e6),
)
def test_no_shape_breaks_it_and_twice_is_once(kind: str, inputs: tuple, outputs: tuple, micros: float) -> None:
    profile = Profile("t", "d", "fp32", 0, (Operator("o", kind, micros, inputs=inputs, outputs=outputs),))
    once = annotate(profile, FACTS)
    assert annotate(once, FACTS).to_json() == once.to_json()
    (operator,) = once.operators
    assert operator.flops >= 0 and operator.bytes >= 0 and not operator.efficiency < 0


def test_what_the_device_s_counters_told_stands_where_no_peak_is_known() -> None:
    told = Operator("conv", "Conv2D", 10.0, dtype="fp16", bound="memory")
    (seen,) = annotate(Profile("msprof", "npu", "fp16", 10.0, (told,)), Facts("npu", "cann")).operators
    assert seen.bound == "memory" and math.isnan(seen.efficiency) and seen.share == 1


def test_a_matrix_product_whose_operands_disagree_has_no_known_operations() -> None:
    assert flops(Operator("mm", "MatMulV2", 1.0, inputs=((8, 4), (4, 2)), outputs=((8, 2),))) == 2 * 8 * 4 * 2
    assert flops(Operator("mm", "MatMulV2", 1.0, inputs=((4, 8), (2, 4)), outputs=((8, 2),))) == 2 * 8 * 4 * 2
    assert flops(Operator("mm", "MatMulV2", 1.0, inputs=((8, 4), (5, 2)), outputs=((8, 2),))) == 0
