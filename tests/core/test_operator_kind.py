"""One vocabulary of kinds over every profiler's type names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.operator_kind import KINDS, kind_of


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "convolution",
            "Conv Convolution GroupConvolution QLinearConv aten::mkldnn_convolution Conv2D com.microsoft.nchwc.Conv",
        ),
        ("matmul", "MatMul Gemm FullyConnected MatMulV2 BatchMatMulV2 aten::addmm com.microsoft:FusedMatMul"),
        ("activation", "Relu Sigmoid QuickGelu SwishCPU aten::silu_ HardSwish"),
        ("concat", "Concat Concatenation ConcatD ConcatV2D aten::cat"),
        ("resize", "Upsample Resize Interpolate ResizeNearestNeighborV2 aten::upsample_nearest2d"),
        ("layout", "Transpose Reorder ReorderOutput TransData"),
        ("copy", "Cast Split VariadicSplit StridedSliceD aten::copy_ Reshape Slice"),
        ("quantise", "QuantizeLinear DequantizeLinear FakeQuantize AscendQuant"),
        ("pooling", "MaxPool MaxPoolV3 aten::max_pool2d_with_indices"),
        ("elementwise", "Add Mul Subgraph Eltwise aten::add_"),
        ("convolution", "Conv2DCompress DepthwiseConv2DD Conv2DBackpropInputD Conv2DTransposeD"),
        ("matmul", "MatMulV3 QuantBatchMatmulV3 FlashAttentionScore GroupedMatmul"),
        ("copy", "MemcpyAsync MEMCPY_ASYNC TensorMove GatherV2 PadV3 SplitVD"),
        ("quantise", "AscendQuantV2 AscendDequant AscendAntiQuant DynamicQuant"),
        ("pooling", "MaxPoolWithArgmaxV1 AvgPoolV2"),
        ("normalisation", "LayerNormV3 BNTrainingUpdateV2 SoftmaxV2 BNInferenceD"),
        ("boundary", "Parameter Result Const"),
        ("other", "SomethingNobodyHeardOf "),
    ],
)
def test_each_tool_s_names_have_their_kind(kind: str, names: str) -> None:
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


def test_a_name_of_several_is_of_its_heaviest_part() -> None:
    assert kind_of("Conv_Add_Relu") == "convolution"
    assert kind_of("Add_Relu") == "activation"


@given(st.text(max_size=60))
def test_any_name_has_a_kind(name: str) -> None:
    assert kind_of(name) in KINDS
