"""Plausible inputs for a model nobody gave any for: enough to run it, to compare two forms of it, to see its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec

SEQUENCE = 16
MAX_ELEMENTS = 1 << 28


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
