"""open_batch: the first dimension of every input becomes open under one name, so that one file serves every batch.

Before: the inputs lead with 1 or with an open dimension. After: a batch of two gives each sample the answers it had
alone, and outputs lead with the same name. A graph that pins its batch is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.task import TaskSpec
from edgewright.graph import surgery
from edgewright.graph.batch import BATCH, leading, verify, with_batch
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    if not leading(model) <= {None, 1}:
        return StepResult(model, spec, False, "the graph is made for a batch of its own")
    opened = with_batch(model, None)
    try:
        verify(model, opened, 2, "open_batch")
    except InputError as reason:
        return StepResult(model, spec, False, f"the batch stays as it is: {reason.message}")
    for value in opened.graph.output:
        if surgery.shape_of(value):
            value.type.tensor_type.shape.dim[0].Clear()
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return StepResult(opened, spec, True, "the batch is settled when the graph is opened")
