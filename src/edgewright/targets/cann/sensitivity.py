"""Which convolutions INT8 would change most: each is computed alone with 8-bit input and weights, the rest in float.

The measure is the ratio of signal to quantisation noise (SQNR, dB) at the layer's result, over a few calibration
samples, as in layer-wise analyses of post-training quantisation (Nagel et al., "A White Paper on Neural Network
Quantization", 2021, section 4.5). The weakest are left in FP16; the check says whether that was enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from edgewright.graph import surgery
from edgewright.graph.surgery import Array
from edgewright.targets.calibration import Calibration

SAMPLES = 4
WORST_SHARE = 0.2
"""Of the layers are left out: the first and the last ones are nearly always among them."""


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix product and its SQNR in dB; larger is better."""

    name: str
    sqnr_db: float


def rank(graph: Any, data: Calibration) -> tuple[Layer, ...]:
    """Every weighted layer with constant weights, the weakest first. Of a graph with a batch the samples go through
    together, and the ranks are those of one by one."""
    stored = surgery.constants(graph)
    layers = [
        node
        for node in graph.graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1 and node.input[1] in stored
    ]
    wanted = list(dict.fromkeys(name for node in layers for name in (node.input[0], node.output[0])))
    session, names = _session(graph, wanted)
    noise = {node.name: [0.0, 0.0] for node in layers}
    for feeds in _batches(list(islice(iter(data), SAMPLES)), graph):
        seen = dict(zip(names, session.run(names, feeds), strict=True)) | feeds
        for node in layers:
            signal, error = _error(node, seen[node.input[0]], seen[node.output[0]], stored, surgery.opset(graph))
            noise[node.name][0] += signal
            noise[node.name][1] += error
    found = [Layer(name, _decibel(signal, error)) for name, (signal, error) in noise.items()]
    return tuple(sorted(found, key=lambda layer: layer.sqnr_db))


def _batches(samples: Sequence[dict[str, Array]], graph: Any) -> Iterator[dict[str, Array]]:
    """The samples in batches of the graph's own size; one that is not full is filled with the first samples."""
    shapes = [value.type.tensor_type.shape for value in surgery.inputs(graph)]
    size = max(1, next((int(shape.dim[0].dim_value) for shape in shapes if shape.dim), 1))
    for at in range(0, len(samples), size):
        batch = [samples[(at + k) % len(samples)] for k in range(size)]
        yield {name: np.concatenate([one[name] for one in batch]) for name in batch[0]}


def worst(ranked: Sequence[Layer]) -> tuple[Layer, ...]:
    """The fifth of the layers that suffers most, one at least."""
    return tuple(ranked[: max(1, round(len(ranked) * WORST_SHARE))])


def sentence(ranked: Sequence[Layer]) -> str:
    left = worst(ranked)
    if not left:
        return "No layer could be ranked by its sensitivity to INT8."
    return (
        f"{len(left)} of {len(ranked)} layers stay in FP16: INT8 alone leaves them {left[0].sqnr_db:.0f} to "
        f"{left[-1].sqnr_db:.0f} dB over its noise (the weakest: {left[0].name})."
    )


def _session(graph: Any, wanted: Sequence[str]) -> tuple[Any, list[str]]:
    import onnx
    import onnxruntime

    twin = surgery.copy(graph)
    own = {value.name for value in twin.graph.output}
    entering = {value.name for value in surgery.inputs(twin)}
    names = [name for name in wanted if name not in entering]
    twin.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in own)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(twin.SerializeToString(), options, providers=["CPUExecutionProvider"]), names


def _error(node: Any, x: Array, y: Array, stored: dict[str, Array], opset: int) -> tuple[float, float]:
    """Energy of the result, and of its difference when the layer alone computes on 8-bit numbers."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    weight = stored[node.input[1]]
    channel = 1 if node.op_type != "Conv" else 0
    rough = {node.input[0]: _rounded(x, None), node.input[1]: _rounded(weight, channel)}
    constants = [numpy_helper.from_array(rough[node.input[1]], node.input[1])]
    constants += [numpy_helper.from_array(stored[name], name) for name in node.input[2:] if name in stored]
    entering = [helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, list(x.shape))]
    leaving = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)]
    alone = helper.make_graph([node], "layer", entering, leaving, constants)
    model = helper.make_model(alone, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (other,) = session.run(None, {node.input[0]: rough[node.input[0]]})
    return float(np.square(y, dtype=np.float64).sum()), float(np.square(y - other, dtype=np.float64).sum())


def _rounded(value: Array, axis: int | None) -> Array:
    """The nearest 8-bit numbers: activations between their extremes, weights symmetric for each `axis`."""
    if axis is None:
        low, high = min(0.0, float(value.min())), max(0.0, float(value.max()))
        scale = (high - low) / 255 or 1.0
        return np.asarray(np.clip(np.round((value - low) / scale), 0, 255) * scale + low, np.float32)
    others = tuple(i for i in range(value.ndim) if i != axis)
    scales = np.maximum(np.abs(value).max(axis=others, keepdims=True), 1e-12) / 127
    return np.asarray(np.clip(np.round(value / scales), -128, 127) * scales, np.float32)


def _decibel(signal: float, error: float) -> float:
    return float("inf") if error == 0 else 10 * float(np.log10(max(signal, 1e-30) / error))
