"""Weights of a YOLOv5 network by official name: which there must be, of what shape, and batch norm folded away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.sources.yolov5.architecture import Architecture, Layer

Array = NDArray[np.float32]
Weights = dict[str, Array]
BATCH_NORM_EPS = 1e-3
_NORM = ("weight", "bias", "running_mean", "running_var")
_MISFIT = "The weights and the yaml of this file do not belong together; export it to ONNX where it was trained."


def expected_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Every weight the architecture needs (batch counters and anchors are not among them)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in architecture.layers:
        for name, shape in _layer_shapes(layer, architecture):
            shapes[f"model.{layer.index}.{name}"] = shape
    return shapes


def checked_weights(architecture: Architecture, arrays: Mapping[str, Array], eps: Mapping[str, float]) -> Weights:
    """The weights the architecture needs, out of `arrays`, all there, finite and of the right shape.

    A convolution that was fused with its batch norm (it has a bias) gets a batch norm that only adds the bias, and a
    batch norm with an `eps` of its own gets a variance that makes up for the difference: one architecture serves all.
    """
    shapes = expected_shapes(architecture)
    weights: Weights = {}
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            array = _from_fused(name, arrays, shape)
        elif name.endswith(".running_var"):
            array = array + np.float32(eps.get(name.removesuffix(".running_var"), BATCH_NORM_EPS) - BATCH_NORM_EPS)
        if array.shape != shape:
            raise InputError(f"{name} has shape {array.shape}; the yaml makes it {shape}.", _MISFIT)
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds a number that is not finite.", "The training diverged; use another file.")
        weights[name] = np.ascontiguousarray(array, np.float32)
    unused = [name for name in arrays if name not in shapes and not _is_bookkeeping(name, arrays)]
    if unused:
        raise InputError(f"The file has weights that its yaml has no place for, such as {unused[0][:80]}.", _MISFIT)
    return weights


def fold(weights: Weights, conv: str, norm: str) -> tuple[Array, Array]:
    """Kernel and bias of convolution `conv` with batch norm `norm` folded in: w·γ/√(σ²+ε), β − μ·γ/√(σ²+ε)."""
    gamma, beta, mean, variance = (weights[f"{norm}.{part}"].astype(np.float64) for part in _NORM)
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPS)
    kernel = weights[f"{conv}.weight"].astype(np.float64) * scale[:, None, None, None]
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _from_fused(name: str, arrays: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    norm, _, part = name.rpartition(".")
    bias = arrays.get(f"{norm.removesuffix('.bn')}.conv.bias") if norm.endswith(".bn") else None
    if bias is None:
        raise InputError(f"The weight {name} is missing.", _MISFIT)
    if part == "bias":
        return bias
    value = {"weight": 1.0, "running_mean": 0.0, "running_var": 1.0 - BATCH_NORM_EPS}[part]
    return np.full(shape, value, np.float32)


def _is_bookkeeping(name: str, arrays: Mapping[str, Array]) -> bool:
    """Batch counters, Detect's buffers, and the bias of a fused convolution (already used)."""
    if name.endswith((".num_batches_tracked", ".anchors", ".anchor_grid", ".stride")):
        return True
    return name.endswith(".conv.bias") and f"{name.removesuffix('.conv.bias')}.bn.bias" not in arrays


def _layer_shapes(layer: Layer, architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    entering, leaving = layer.in_channels[0], layer.out_channels
    if layer.kind == "Detect":
        outputs = architecture.outputs_per_anchor * len(architecture.anchors[0])
        for level, channels in enumerate(layer.in_channels):
            yield f"m.{level}.weight", (outputs, channels, 1, 1)
            yield f"m.{level}.bias", (outputs,)
    elif layer.kind in ("C3", "BottleneckCSP"):
        yield from _csp(layer)
    elif layer.kind not in ("Concat", "Upsample"):
        for copy in range(layer.repeats):
            prefix = f"{copy}." if layer.repeats > 1 else ""
            for name, shape in _single(layer, entering, leaving):
                yield prefix + name, shape


def _single(layer: Layer, entering: int, leaving: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    if layer.kind == "Conv":
        yield from _conv("", entering, leaving, layer.kernel, layer.groups)
    elif layer.kind == "Focus":
        yield from _conv("conv.", 4 * entering, leaving, layer.kernel, layer.groups)
    elif layer.kind == "Bottleneck":
        hidden = int(leaving * layer.expansion)
        yield from _conv("cv1.", entering, hidden)
        yield from _conv("cv2.", hidden, leaving, 3, layer.groups)
    else:  # SPP, SPPF
        hidden = entering // 2
        pooled = len(layer.kernels) + 1 if layer.kind == "SPP" else 4
        yield from _conv("cv1.", entering, hidden)
        yield from _conv("cv2.", hidden * pooled, leaving)


def _csp(layer: Layer) -> Iterator[tuple[str, tuple[int, ...]]]:
    entering, leaving = layer.in_channels[0], layer.out_channels
    hidden = int(leaving * layer.expansion)
    yield from _conv("cv1.", entering, hidden)
    if layer.kind == "C3":
        yield from _conv("cv2.", entering, hidden)
        yield from _conv("cv3.", 2 * hidden, leaving)
    else:
        yield "cv2.weight", (hidden, entering, 1, 1)
        yield "cv3.weight", (hidden, hidden, 1, 1)
        yield from _conv("cv4.", 2 * hidden, leaving)
        yield from (("bn." + part, (2 * hidden,)) for part in _NORM)
    for i in range(layer.repeats):
        yield from _conv(f"m.{i}.cv1.", hidden, hidden)
        yield from _conv(f"m.{i}.cv2.", hidden, hidden, 3, layer.groups)


def _conv(
    prefix: str, entering: int, leaving: int, kernel: int = 1, groups: int = 1
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}conv.weight", (leaving, entering // groups, kernel, kernel)
    yield from ((f"{prefix}bn.{part}", (leaving,)) for part in _NORM)
