"""INT8 for ONNX Runtime: static QDQ on calibration data, or dynamic for graphs of matrix products.

Both follow https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html: weights INT8 per channel;
activations UINT8, except on Arm, whose dot products are signed on both sides. x86 without VNNI adds pairs of products
in 16 bits, so weights give up one bit there (`reduce_range`), or sums would saturate.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.errors import ToolError
from edgewright.graph import surgery
from edgewright.targets import emit
from edgewright.targets.calibration import Calibration

MOST_SAMPLES = 300
QUANTISED = (
    "Conv",
    "MatMul",
    "Gemm",
    "Add",
    "Mul",
    "Sigmoid",
    "LeakyRelu",
    "Relu",
    "Clip",
    "Concat",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Resize",
)
"""With Sigmoid and Mul, so that a SiLU between two INT8 convolutions needs no way out to float and back: a YOLOv5n is a
fifth faster for it, at the same mAP."""
INTEGER = ("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm")


def static(model: Any, calibration: Calibration, settings: Mapping[str, Any], keep_float: Sequence[str]) -> Any:
    """The model in QDQ form.

    `settings`: activation ("uint8" | "int8"), reduce_range (bool), method ("minmax" | "percentile" | "entropy"),
    operators (types to quantise). `keep_float` names nodes left out. ToolError where the quantiser fails.
    """
    from onnxruntime import quantization as tool

    methods = {"minmax": tool.CalibrationMethod.MinMax, "entropy": tool.CalibrationMethod.Entropy}
    methods["percentile"] = tool.CalibrationMethod.Percentile
    kinds = {"uint8": tool.QuantType.QUInt8, "int8": tool.QuantType.QInt8}
    activation = str(settings.get("activation", "uint8"))
    with _workshop(model) as (before, after):
        tool.quantize_static(
            before,
            after,
            _Reader(calibration),
            quant_format=tool.QuantFormat.QDQ,
            op_types_to_quantize=list(settings.get("operators", QUANTISED)),
            nodes_to_exclude=[*keep_float, *after_weights(model)],
            per_channel=True,
            reduce_range=bool(settings.get("reduce_range", False)),
            activation_type=kinds[activation],
            weight_type=tool.QuantType.QInt8,
            calibrate_method=methods[str(settings.get("method", "minmax"))],
            extra_options={"ActivationSymmetric": activation == "int8", "CalibMovingAverage": True},
        )
        quantised = emit.read_graph(after)
    _take_pixels(quantised)
    _free_ends(quantised)
    return quantised


def dynamic(model: Any, keep_float: Sequence[str]) -> Any:
    """The model with INT8 weights in its matrix products; activations are quantised as they come, uncalibrated."""
    from onnxruntime import quantization as tool

    with _workshop(model) as (before, after):
        tool.quantize_dynamic(
            before,
            after,
            op_types_to_quantize=["MatMul", "Gemm", "Attention"],
            per_channel=True,
            nodes_to_exclude=list(keep_float),
            weight_type=tool.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return emit.read_graph(after)


def counts(model: Any) -> dict[str, int]:
    """How many weighted operators there are, and how many of them are laid out to compute in INT8."""
    made, read = surgery.producers(model), surgery.consumers(model)
    weighted = [node for node in model.graph.node if node.op_type in (*emit.WEIGHTED, *INTEGER)]
    return {"weighted": len(weighted), "int8": sum(_is_int8(node, made, read) for node in weighted)}


def _is_int8(node: Any, made: Mapping[str, Any], read: Mapping[str, list[Any]]) -> bool:
    """Convolutions are fused with what quantises their result; one without computes in float on INT8 weights."""
    if node.op_type in INTEGER:
        return True
    makers = [made[name].op_type for name in node.input[:2] if name in made]
    readers = {reader.op_type for reader in read.get(node.output[0], [])}
    return makers.count("DequantizeLinear") == 2 and readers <= {"QuantizeLinear", "Relu", "Clip"} and bool(readers)


def after_weights(model: Any) -> list[str]:
    """Names of the nodes that no convolution or matrix product comes after: decodes, softmax, the last Concat. In
    them values of different kinds meet (scores and pixels), and one scale for both would round the scores away."""
    before = surgery.ancestors(model, [name for node in _weighted(model) for name in node.input])
    wanted = {id(node) for node in [*before, *_weighted(model)]}
    return [node.name for node in model.graph.node if id(node) not in wanted and node.name]


def _weighted(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in emit.WEIGHTED]


def _free_ends(model: Any) -> None:
    """What the last weighted operators compute goes on in float, in place: the quantiser rounds every convolution's
    result, even where only float readers follow. A head's channels are of different kinds (coordinates, scores), and
    one INT8 scale for them rounds the smaller ones away."""
    ends = set(emit.last_weighted(model))
    outputs = {value.name for value in model.graph.output}
    for node in [one for one in model.graph.node if one.name in ends]:
        read = surgery.consumers(model)
        for rounds in [r for r in read.get(node.output[0], []) if r.op_type == "QuantizeLinear"]:
            for back in [r for r in read.get(rounds.output[0], []) if r.op_type == "DequantizeLinear"]:
                _bypass(model, node, back, outputs)
    surgery.prune(model)


def _bypass(model: Any, node: Any, back: Any, outputs: set[str]) -> None:
    """Readers of `back` read `node`; where `back` gave an output of the graph, `node` gives it."""
    source, name = node.output[0], back.output[0]
    surgery.rewire(model, name, source)
    if name in outputs:
        back.output[0] = surgery.fresh_name(model, f"{name}.unused")
        surgery.rewire(model, source, name)
        node.output[0] = name


def _take_pixels(model: Any) -> None:
    """uint8 pixels that are cast to float only to be quantised with scale 1 are taken as they are.

    In place: Cast → QuantizeLinear(1, 0) → DequantizeLinear becomes DequantizeLinear(1, 0) on the pixels; the
    calibrated scale is 1 but for rounding, because pixels reach from 0 to 255."""
    stored, made, read = surgery.constants(model), surgery.producers(model), surgery.consumers(model)
    for node in [n for n in model.graph.node if n.op_type == "QuantizeLinear"]:
        cast = made.get(node.input[0])
        scale, zero = stored.get(node.input[1]), stored.get(node.input[2]) if len(node.input) > 2 else None
        if cast is None or cast.op_type != "Cast" or scale is None or zero is None or zero.dtype != np.uint8:
            continue
        if scale.size != 1 or abs(float(scale.reshape(())) - 1) > 0.01 or int(zero.reshape(())) != 0:
            continue
        if not _is_uint8(model, cast.input[0], made) or len(read.get(node.input[0], [])) != 1:
            continue
        one = surgery.store(model, surgery.fresh_name(model, f"{node.output[0]}.one"), np.array(1, np.float32))
        for reader in read.get(node.output[0], []):
            reader.input[0], reader.input[1] = cast.input[0], one
    surgery.prune(model)


def _is_uint8(model: Any, name: str, made: Mapping[str, Any]) -> bool:
    while name in made and made[name].op_type == "Transpose":
        name = made[name].input[0]
    return any(value.name == name and surgery.dtype_of(value) == np.uint8 for value in surgery.inputs(model))


@contextlib.contextmanager
def _workshop(model: Any) -> Iterator[tuple[Path, Path]]:
    """Files for a tool that works on files, its chatter kept off our standard output, its failures as ToolError."""
    log, level = logging.getLogger(), logging.getLogger().level
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        emit.write_graph(_with_shapes(model), before)
        log.setLevel(logging.ERROR)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield before, after
        except ToolError:
            raise
        except Exception as error:  # onnxruntime.quantization raises plain exceptions of many kinds
            reason = " ".join(str(error).split())[:300]
            raise ToolError(
                f"ONNX Runtime could not quantise this model: {reason}", "Use fp32, or another target family."
            ) from error
        finally:
            log.setLevel(level)


def _with_shapes(model: Any) -> Any:
    """The quantiser reads types and shapes of tensors from the file; without them it leaves operators out."""
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception:  # advice only, as in surgery.shapes
        return model


class _Reader:
    """onnxruntime.quantization's CalibrationDataReader."""

    def __init__(self, calibration: Calibration) -> None:
        self._samples = iter(calibration)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._samples, None)
