"""The shapes a model is wanted in: what the configuration says, put into the graph where the file leaves it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.core.plugs import did_you_mean

IMAGE_SIZE = 640


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


def _write(value: Any, shape: Sequence[int]) -> None:
    for dimension, n in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = n
