"""What every family does to a graph before it is converted, and what a graph is mostly made of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError
from edgewright.core.model import Model, Step
from edgewright.core.plugs import did_you_mean
from edgewright.core.task import TaskSpec

SPLIT = ("yolov5_flat", "yolov8_flat")


def graph_steps(spec: TaskSpec, *, layout: str, batch: Step) -> tuple[Step, ...]:
    """The steps of every recipe, float ones too: what is not computed is faster in any precision.

    `layout` is how the raw heads leave the graph. Input preparation and batch are settled for single-image tasks only.
    """
    steps = [Step("simplify"), Step("fold_batchnorm")]
    if any(step.kind in SPLIT for step in spec.postprocess):
        steps.append(Step("split_head", {"layout": layout}))
    if spec.preprocess:
        steps += [Step("fold_input"), batch]
    return tuple(steps)


def mostly_matmul(model: Model) -> bool:
    """Whether matrix products outnumber convolutions: a transformer, an MLP."""
    counts = _weighted(str(model.path), model.digest)
    return counts["matmul"] > counts["convolution"]


@lru_cache(maxsize=16)
def _weighted(path: str, digest: str) -> dict[str, int]:
    import onnx

    if not Path(path).is_file():
        return {"matmul": 0, "convolution": 0}
    kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return {
        "matmul": sum(kind in ("MatMul", "Gemm", "Attention") for kind in kinds),
        "convolution": sum(kind in ("Conv", "ConvTranspose") for kind in kinds),
    }


def known_options(options: Mapping[str, Any], known: tuple[str, ...], family: str) -> dict[str, Any]:
    """The target's options, all of them known to the family; ConfigError with the nearest name for another."""
    for name in options:
        if name not in known:
            raise ConfigError(f"The family {family} has no option '{name}'.", did_you_mean(name, known))
    return dict(options)
