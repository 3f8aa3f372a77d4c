"""The shapes a model is wanted in: what the configuration says, put into the graph where the file leaves it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.core.plugs import did_you_mean

IMAGE_SIZE, SEQUENCE = 640, 16
MAX_ELEMENTS = 1 << 28


def apply_shapes(proto: Any, inputs: Sequence[TensorSpec], wanted: Mapping[str, Sequence[int]]) -> None:
    """Writes the wanted shapes into the graph's inputs and, where a symbol is shared, into its outputs.

    InputError for an unknown input, another rank, or a dimension that the file fixes otherwise.
    """
    names = tuple(spec.name for spec in inputs)
    symbols: dict[str, int] = {}
    for name, shape in wanted.items():
        if name not in names:
            raise InputError(f"The model has no input '{name}'.", did_you_mean(name, names))
        spec = inputs[names.index(name)]
        fits = len(shape) == len(spec.shape) and all(
            n >= 1 and (not isinstance(own, int) or own == n) for n, own in zip(shape, spec.shape, strict=True)
        )
        if not fits:
            raise InputError(
                f"The shape {list(shape)} does not fit the input '{name}' of this model, {list(spec.shape)}.",
                "Leave it out of `inputs:`, or export the model with open (dynamic) dimensions.",
            )
        symbols |= {own: n for own, n in zip(spec.shape, shape, strict=True) if isinstance(own, str)}
        _write(next(value for value in proto.graph.input if value.name == name), shape)
    for value in (*proto.graph.output, *proto.graph.input):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in symbols:
                dimension.dim_value = symbols[dimension.dim_param]
    if wanted:
        del proto.graph.value_info[:]  # written for the shapes before; every runtime infers them again


def fix_image_size(proto: Any, inputs: Sequence[TensorSpec], size: tuple[int, int] | None) -> bool:
    """A detector or classifier with open height and width gets `size` (default 640×640); True where that was needed."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].dtype not in ("float32", "float16"):
        return False
    _batch, channels, *sides = inputs[0].shape
    if channels not in (1, 3) or all(isinstance(n, int) for n in sides):
        return False
    chosen = size or (IMAGE_SIZE, IMAGE_SIZE)
    filled = [own if isinstance(own, int) else n for own, n in zip(sides, chosen, strict=True)]
    target = next(value for value in proto.graph.input if value.name == inputs[0].name)
    for dimension, n in zip(list(target.type.tensor_type.shape.dim)[2:], filled, strict=True):
        dimension.dim_value = n
    del proto.graph.value_info[:]
    return True


def example_inputs(inputs: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
    """One plausible array per input, batch 1: images in 0–1, token ids below 100, masks of ones."""
    rng = np.random.default_rng(0)
    return {spec.name: _example(spec, rng) for spec in inputs}


def _example(spec: TensorSpec, rng: np.random.Generator) -> NDArray[Any]:
    shape = [n if isinstance(n, int) else (1 if axis == 0 else SEQUENCE) for axis, n in enumerate(spec.shape)]
    if spec.dtype == "str" or any(n < 1 for n in shape) or np.prod(shape, dtype=float) > MAX_ELEMENTS:
        raise InputError(
            f"The input '{spec.name}' ({spec.dtype}, {list(spec.shape)}) cannot be fed.",
            "State its shape in `inputs:`.",
        )
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.kind == "b" or "mask" in spec.name.lower():
        return np.ones(shape, dtype)
    if dtype.kind in "iu" and not any(word in spec.name.lower() for word in ("type", "segment")):
        return rng.integers(0, 100, shape).astype(dtype)
    return np.zeros(shape, dtype)


def _write(value: Any, shape: Sequence[int]) -> None:
    for dimension, n in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = n
