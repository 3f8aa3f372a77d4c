"""Is the graph after a step the same function as before? Both are run in ONNX Runtime on the same random input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.graph import surgery
from edgewright.graph.surgery import Array

TOLERANCE = 1e-3
"""Of the largest reference value: far over float32 rounding in a deep network, far under any real mistake."""


def random_feeds(model: Any, seed: int = 0) -> dict[str, Array]:
    """One array per input: floats in 0–1, uint8 pixels, other integers 0 or 1 (valid as ids, masks and segments).
    An open dimension becomes 1 where it leads, 64 in an image, 8 elsewhere."""
    random = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for value in surgery.inputs(model):
        shape = surgery.shape_of(value)
        fallback = 64 if len(shape) == 4 else 8
        fixed = tuple(n if n else (1 if i == 0 else fallback) for i, n in enumerate(shape))
        dtype = surgery.dtype_of(value)
        if dtype.kind == "f":
            feeds[value.name] = random.random(fixed).astype(dtype)
        else:
            top = 256 if dtype == np.uint8 else 2
            feeds[value.name] = random.integers(0, top, fixed).astype(dtype)
    return feeds


def run(model: Any, feeds: Mapping[str, Array], outputs: list[str] | None = None) -> dict[str, Array]:
    """The outputs of an onnx.ModelProto by name. InputError where ONNX Runtime refuses the graph or the shapes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    names = outputs or [value.name for value in model.graph.output]
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as error:  # the binding raises one class per status code, all plain Exceptions
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"ONNX Runtime cannot run this graph: {reason}", "Check the model's operators and shapes."
        ) from error


def difference(before: Mapping[str, Array], after: Mapping[str, Array]) -> float:
    """The largest difference over outputs of the same name, as a fraction of the largest reference value (at least
    1); infinity where shapes differ or one side has a number where the other has none."""
    worst = 0.0
    for name, reference in before.items():
        other = after[name]
        if reference.shape != other.shape:
            return float("inf")
        if reference.size == 0:
            continue
        a, b = reference.astype(np.float64), other.astype(np.float64)
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf")
        finite = np.isfinite(a)
        if finite.any():
            scale = max(1.0, float(np.abs(a[finite]).max()))
            worst = max(worst, float(np.abs(a - b)[finite].max()) / scale)
    return worst


def require(before: Mapping[str, Array], after: Mapping[str, Array], step: str) -> float:
    """The difference; InputError naming the step where it is over TOLERANCE."""
    worst = difference(before, after)
    if not worst <= TOLERANCE:
        raise InputError(
            f"The graph step '{step}' changed the model's answers by {worst:.2g} of their range.",
            f"Leave '{step}' out of the recipe's graph steps.",
        )
    return worst
