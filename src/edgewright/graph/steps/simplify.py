"""simplify: constants folded, shape arithmetic removed, batch norms and paddings fused, by onnxslim.

Before: any valid graph. After: same inputs, same outputs, same answers on random input, no more nodes than before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.step import StepResult


def apply(model: Any, spec: TaskSpec, params: Mapping[str, Any]) -> StepResult:
    import onnxslim

    before = len(model.graph.node)
    try:
        slim = onnxslim.slim(surgery.copy(model))
    except Exception as error:  # a simplifier is optional: whatever it trips over, the graph before is still right
        reason = " ".join(str(error).split())[:120]
        return StepResult(model, spec, False, f"onnxslim could not simplify this graph ({reason})")
    slim.ir_version = min(slim.ir_version, model.ir_version)
    if not _same_ports(model, slim):
        return StepResult(
            model, spec, False, "onnxslim changed the graph's inputs or outputs, so its result is not used"
        )
    feeds = parity.random_feeds(model)
    worst = parity.require(parity.run(model, feeds), parity.run(slim, feeds), "simplify")
    after = len(slim.graph.node)
    note = f"{before} → {after} nodes, answers within {worst:.1g}"
    return StepResult(slim, spec, True, note)


def _same_ports(before: Any, after: Any) -> bool:
    def names(model: Any) -> tuple[list[str], list[str]]:
        return [v.name for v in surgery.inputs(model)], [v.name for v in model.graph.output]

    return names(before) == names(after)
