"""The first dimension of a graph: setting it, opening it, and proving that samples do not mix."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgewright.graph import parity, surgery

BATCH = "batch"
"""The name of an opened first dimension; an engine settles it when it opens the graph."""


def leading(model: Any) -> set[int | None]:
    """The first dimensions of the inputs that have one."""
    return {surgery.shape_of(value)[0] for value in surgery.inputs(model) if surgery.shape_of(value)}


def with_batch(model: Any, batch: int | None) -> Any:
    """A copy whose inputs lead with `batch`, or with an open dimension called BATCH; nothing is verified."""
    changed = surgery.copy(model)
    for value in surgery.inputs(changed):
        if value.type.tensor_type.shape.dim:
            _set(value.type.tensor_type.shape.dim[0], batch)
    del changed.graph.value_info[:]
    if batch != 1:
        _open_reshapes(changed)
    _restate_outputs(changed)
    return changed


def verify(before: Any, after: Any, batch: int, step: str) -> None:
    """Each sample's answers in a batch are those it had alone, or InputError naming the step."""
    singles = [parity.random_feeds(before, seed) for seed in range(min(batch, 2))]
    picks = [singles[i % len(singles)] for i in range(batch)]
    together = {name: np.concatenate([feeds[name] for feeds in picks]) for name in picks[0]}
    answers = parity.run(after, together)
    for i, feeds in enumerate(singles):
        alone = parity.run(before, feeds)
        mine = {name: value[i : i + 1] if value.shape[:1] == (batch,) else value for name, value in answers.items()}
        parity.require(alone, mine, step)


def _set(dim: Any, batch: int | None) -> None:
    dim.Clear()
    if batch is None:
        dim.dim_param = BATCH
    else:
        dim.dim_value = batch


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

    ranks = [len(value.type.tensor_type.shape.dim) for value in model.graph.output]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        surgery.replace(model.graph.output, list(inferred.graph.output))
    except Exception:  # advice only, as in surgery.shapes
        pass
    for value, rank in zip(model.graph.output, ranks, strict=True):
        if not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(rank))
