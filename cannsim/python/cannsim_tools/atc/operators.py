"""Which ONNX operators the emulated parser knows, what CANN calls them, and how each treats precision."""

from __future__ import annotations

import onnx

from ..installation import installation
from ..onnx_model import QUANT_DOMAIN, opset_of
from ..opset import OLDEST, newest_opset
from ..vendor_error import VendorError

# What CANN's own graph calls them, for the profile, mixed-precision lists and keep_dtype. Others keep the ONNX name.
CANN_TYPES = {
    "Conv": "Conv2D",
    "ConvTranspose": "Conv2DTranspose",
    "Gemm": "MatMulV2",
    "MatMul": "MatMulV2",
    "MaxPool": "MaxPool",
    "AveragePool": "AvgPool",
    "GlobalAveragePool": "GlobalAveragePool",
    "Concat": "ConcatD",
    "Split": "SplitVD",
    "Slice": "StridedSliceD",
    "Transpose": "TransposeD",
    "Resize": "ResizeNearestNeighborV2",
    "Softmax": "SoftmaxV2",
    "ReduceMean": "ReduceMeanD",
    "ReduceSum": "ReduceSumD",
    "ReduceMax": "ReduceMaxD",
    "Div": "RealDiv",
    "Clip": "ClipByValue",
    "LeakyRelu": "LeakyRelu",
    "Pad": "PadV3",
    "Gather": "GatherV2",
    "BatchNormalization": "BNInference",
    "InstanceNormalization": "InstanceNorm",
    "LayerNormalization": "LayerNormV3",
    "Unsqueeze": "Unsqueeze",
    "Squeeze": "Squeeze",
    "Flatten": "FlattenV2",
    "Expand": "ExpandD",
    "Tile": "TileD",
    "PRelu": "PRelu",
    "HardSigmoid": "HardSigmoid",
    "HardSwish": "HardSwish",
}

# Values pass through: what went in rounded comes out rounded.
MOVES = {
    "Reshape", "Transpose", "Concat", "Split", "Slice", "MaxPool", "Relu", "Gather", "Squeeze", "Unsqueeze", "Flatten",
    "Identity", "Expand", "Tile", "Clip", "DepthToSpace", "SpaceToDepth", "GatherElements", "GatherND", "Where", "Max",
    "Min", "ReduceMax", "ReduceMin", "Abs", "Neg", "GlobalMaxPool", "TopK", "ScatterND", "ScatterElements", "Dropout",
    "ReverseSequence", "Pad", "Sign", "Trilu",
}  # fmt: skip
CUBE = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
# Mixed precision's lists, approximated: the vendor keeps them per operator and chip.
WHITE = CUBE
BLACK = {"Exp", "Log", "Pow", "Softmax", "LogSoftmax", "ReduceSum", "ReduceMean", "ReduceL2", "ReduceProd", "CumSum"}
BLACK |= {"LayerNormalization", "InstanceNormalization", "Sqrt", "Reciprocal", "Erf", "Softplus"}
# Floats that describe the work rather than being worked on; they stay as written.
PARAMETERS = {"Resize": {1, 2}, "Range": {0, 1, 2}, "NonMaxSuppression": {3, 4}, "Upsample": {1}, "OneHot": {2}}

# No parser, or no kernel that a static-shape model could use.
NO_PARSER = {
    "Loop", "Scan", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
    "SequenceMap", "SequenceLength", "SplitToSequence", "ConcatFromSequence", "StringNormalizer",
    "TfIdfVectorizer", "Optional", "OptionalGetElement", "OptionalHasElement", "QuantizeLinear",
    "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger",
    "RegexFullMatch", "StringSplit", "StringConcat",
}  # fmt: skip
AMCT_OPS = {"AscendQuant", "AscendDequant", "AscendWeightQuant"}


def cann_type(op_type: str) -> str:
    return CANN_TYPES.get(op_type, op_type)


def check_operators(model: onnx.ModelProto) -> list[tuple[onnx.NodeProto, str, VendorError]]:
    """Every node the parser refuses, with its full type and the error; [] when all are known."""
    opset = opset_of(model)
    newest = newest_opset(installation().cann)
    refused = []
    for node in model.graph.node:
        full = f"{node.domain or 'ai.onnx'}::{opset}::{node.op_type}"
        if node.domain == QUANT_DOMAIN and node.op_type in AMCT_OPS:
            continue
        if node.domain not in ("", "ai.onnx"):
            refused.append((node, full, VendorError("E19010", node.name, full)))
            continue
        try:
            since = onnx.defs.get_schema(node.op_type, opset, "").since_version
        except onnx.defs.SchemaError:
            refused.append((node, full, VendorError("E16002", full)))
            continue
        if node.op_type in NO_PARSER or since > newest or opset < OLDEST:
            refused.append((node, full, VendorError("E19010", node.name, full)))
    return refused
