"""fix_batch: the first dimension of every input becomes `batch`, so that a runtime can plan its memory.

Before: the inputs share their first dimension, open or 1. After: the graph runs at that batch, and each sample's
answers are those it had alone. A graph whose arithmetic pins another batch is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    batch = int(params.get("batch", 1))
    leading = {surgery.shape_of(value)[0] for value in surgery.inputs(model) if surgery.shape_of(value)}
    if leading == {batch}:
        return StepResult(model, spec, False, f"the batch is {batch} already")
    if not leading <= {None, 1}:
        raise InputError(
            f"The graph is made for a batch of {max(n for n in leading if n)} and cannot be set to {batch}.",
            "Export the model with batch 1 or with a dynamic batch.",
        )
    fixed = surgery.copy(model)
    _set_batch(fixed, batch)
    if 1 in leading and batch != 1:
        _open_reshapes(fixed)
    _restate_outputs(fixed)
    _verify(model, fixed, batch)
    return StepResult(fixed, spec, True, f"the batch is fixed to {batch}")


def _set_batch(model: Any, batch: int) -> None:
    for value in surgery.inputs(model):
        if value.type.tensor_type.shape.dim:
            dim = value.type.tensor_type.shape.dim[0]
            dim.Clear()
            dim.dim_value = batch
    del model.graph.value_info[:]


def _open_reshapes(model: Any) -> None:
    """Reshapes exported for one sample name it as a leading 1: it becomes -1 ("the rest"), or 0 ("as it was")."""
    stored = surgery.constants(model)
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in stored:
            continue
        target = stored[node.input[1]].astype(np.int64).reshape(-1).copy()
        if target.size and target[0] == 1:
            target[0] = 0 if -1 in target[1:] else -1
            node.input[1] = surgery.store(model, surgery.fresh_name(model, f"{node.output[0]}.shape"), target)


def _restate_outputs(model: Any) -> None:
    """Output shapes as ONNX infers them from the new input shapes; what it cannot tell is left open."""
    import onnx

    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # advice only, as in surgery.shapes
        return
    surgery.replace(model.graph.output, list(inferred.graph.output))


def _verify(before: Any, after: Any, batch: int) -> None:
    singles = [parity.random_feeds(before, seed) for seed in range(min(batch, 2))]
    picks = [singles[i % len(singles)] for i in range(batch)]
    together = {name: np.concatenate([feeds[name] for feeds in picks]) for name in picks[0]}
    answers = parity.run(after, together)
    for i, feeds in enumerate(singles):
        alone = parity.run(before, feeds)
        mine = {name: value[i : i + 1] if value.shape[:1] == (batch,) else value for name, value in answers.items()}
        parity.require(alone, mine, "fix_batch")
