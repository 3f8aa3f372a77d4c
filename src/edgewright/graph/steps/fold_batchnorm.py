"""fold_batchnorm: a BatchNormalization right after a convolution becomes part of its weights and bias.

With s = γ/√(σ² + ε): W′ = W·s per output channel, b′ = (b − μ)·s + β (Ioffe and Szegedy, 2015, at inference).
Before: the convolution's output is read by the batch norm alone, and both hold constant weights. After: same answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    folded = surgery.copy(model)
    made, read, stored = surgery.producers(folded), surgery.consumers(folded), surgery.constants(folded)
    outputs = {value.name for value in folded.graph.output}
    count = 0
    for norm in [n for n in folded.graph.node if n.op_type == "BatchNormalization"]:
        conv = made.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or len(read[norm.input[0]]) != 1 or norm.input[0] in outputs:
            continue
        names = [*conv.input[1:], *norm.input[1:]]
        if any(name not in stored for name in names) or len([name for name in norm.output if name]) != 1:
            continue
        _fold(folded, conv, norm, stored)
        count += 1
    if not count:
        return StepResult(model, spec, False, "no batch norm follows a convolution")
    surgery.prune(folded)
    feeds = parity.random_feeds(model)
    worst = parity.require(parity.run(model, feeds), parity.run(folded, feeds), "fold_batchnorm")
    return StepResult(folded, spec, True, f"{count} batch norms folded, answers within {worst:.1g}")


def _fold(model: Any, conv: Any, norm: Any, stored: Mapping[str, Any]) -> None:
    gamma, beta, mean, variance = (stored[name].astype(np.float64) for name in norm.input[1:5])
    scale = gamma / np.sqrt(variance + surgery.attribute(norm, "epsilon", 1e-5))
    weight = stored[conv.input[1]]
    bias = stored[conv.input[2]].astype(np.float64) if len(conv.input) > 2 and conv.input[2] else 0.0
    folded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    shift = (bias - mean) * scale + beta
    out = norm.output[0]
    names = [surgery.fresh_name(model, f"{out}.{part}") for part in ("weight", "bias")]
    surgery.store(model, names[0], folded.astype(weight.dtype))
    surgery.store(model, names[1], shift.astype(weight.dtype))
    surgery.replace(conv.input, [conv.input[0], *names])
    conv.output[0] = out
    surgery.replace(norm.output, [surgery.fresh_name(model, f"{out}.unused")])
