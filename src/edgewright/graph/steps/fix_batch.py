"""fix_batch: the first dimension of every input becomes `batch`, so that a runtime can plan its memory.

Before: the inputs share their first dimension, open or 1. After: the graph runs at that batch, and each sample's
answers are those it had alone. A graph whose arithmetic pins another batch is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.task import TaskSpec
from edgewright.graph.batch import leading, verify, with_batch
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    batch = int(params.get("batch", 1))
    now = leading(model)
    if now == {batch}:
        return StepResult(model, spec, False, f"the batch is {batch} already")
    if not now <= {None, 1}:
        raise InputError(
            f"The graph is made for a batch of {max(n for n in now if n)} and cannot be set to {batch}.",
            "Export the model with batch 1 or with a dynamic batch.",
        )
    fixed = with_batch(model, batch)
    verify(model, fixed, batch, "fix_batch")
    return StepResult(fixed, spec, True, f"the batch is fixed to {batch}")
