"""Is the exported graph the same function as the original module? Checked on one input, refused where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import Parity

TOLERANCE = 1e-3
"""Largest |a − b| allowed is TOLERANCE · (1 + |b|): fp32 sums in another order stay an order of magnitude below."""

Arrays = Sequence[NDArray[Any]]


def unchecked(why: str) -> Parity:
    """The record of a check that could not be made."""
    return Parity(against="", max_abs=math.nan, cosine=math.nan, checked=False, note=f"not checked: {why}")


def check_parity(
    graph: Arrays, original: Arrays, against: str, first_difference: Callable[[], str] | None = None
) -> Parity:
    """Max difference and cosine over all outputs. InputError over tolerance, with the node `first_difference` finds."""
    if [a.shape for a in graph] != [b.shape for b in original]:
        shapes = f"{[a.shape for a in graph]} instead of {[b.shape for b in original]}"
        raise InputError(f"The exported graph gives outputs of shape {shapes}.", _REMEDY)
    worst = max((_excess(a, b) for a, b in zip(graph, original, strict=True)), default=0.0)
    largest = max((largest_difference(a, b) for a, b in zip(graph, original, strict=True)), default=0.0)
    if not worst <= TOLERANCE:
        where = f" The first node that differs is '{first_difference()}'." if first_difference else ""
        raise InputError(
            f"The exported graph does not compute what {against} does: outputs differ by {largest:.3g}.{where}", _REMEDY
        )
    return Parity(against=against, max_abs=largest, cosine=_cosine(graph, original))


def differs(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """True where `a` is not `b` within the tolerance, whatever its shape or type."""
    return a.shape != b.shape or not _excess(a, b) <= TOLERANCE


def run_graph(
    model: Path | bytes, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None
) -> list[NDArray[Any]]:
    """The graph's outputs from ONNX Runtime on this CPU, unoptimised so that the graph itself is what is checked."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(outputs, dict(feeds))]


_REMEDY = "Another opset may be exported better; if none is, export the model yourself and use the ONNX file."


def largest_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    if not a.size:
        return 0.0
    if not np.issubdtype(a.dtype, np.number):
        return float((a != b).any())
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


def _excess(a: NDArray[Any], b: NDArray[Any]) -> float:
    """max |a − b| / (1 + |b|); not a number where either holds something not finite that the other does not."""
    if not a.size or not np.issubdtype(a.dtype, np.number):
        return largest_difference(a, b)
    x, y = a.astype(np.float64), b.astype(np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(x - y) / (1.0 + np.abs(y))).max())


def _cosine(graph: Arrays, original: Arrays) -> float:
    a, b = (
        np.concatenate([np.ravel(v).astype(np.float64) for v in side] or [np.zeros(0)]) for side in (graph, original)
    )
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 1.0
