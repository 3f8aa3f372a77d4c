"""From a graph in memory to the files and the service description that every family's build ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.recipe import EngineSpec, Port, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.graph import surgery
from edgewright.graph.batch import BATCH

IMAGE = "image"
WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
IR_VERSION = 10
"""The newest file format written. Newer ones add types that no step here makes, and runtimes trail behind: onnx 1.23
writes 14 where ONNX Runtime 1.31 reads at most 13."""
PROTO_LIMIT = 2_000_000_000
"""Protocol buffers end at 2 GiB; larger graphs keep their weights in a file beside them."""


def read_graph(path: Path) -> Any:
    """The onnx.ModelProto of a file, external weights included. InputError where it cannot be read."""
    import onnx

    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf raises its own kinds, by implementation
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as ONNX: {reason}", "Export the model again.") from error
    model.ir_version = min(model.ir_version, IR_VERSION)
    return model


def write_graph(model: Any, path: Path) -> None:
    """Writes an onnx.ModelProto to `path`, with weights in `<name>.bin` beside it where they are too large."""
    import onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    large = model.ByteSize() > PROTO_LIMIT
    onnx.save(model, str(path), save_as_external_data=large, location=f"{path.stem}.bin" if large else None)


def ports(model: Any, spec: TaskSpec, batch: int = 1) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs of a graph by role. The single input of a task with pre-processing is "image"; every
    other port's role is its own name. A first dimension called BATCH is `batch`, which the engine will open it with."""
    values = surgery.inputs(model)
    image = len(values) == 1 and bool(spec.preprocess)
    inputs = tuple(_port(value, IMAGE if image else value.name, batch) for value in values)
    return inputs, tuple(_port(value, value.name, batch) for value in model.graph.output)


def last_weighted(model: Any, wanted: bool = True) -> list[str]:
    """Names of the convolutions and matrix products that outputs come from directly: nothing weighted follows them."""
    if not wanted:
        return []
    made, names, seen = surgery.producers(model), [], set()
    pending = [value.name for value in model.graph.output]
    while pending:
        node = made.get(pending.pop())
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.op_type in WEIGHTED:
            names.append(node.name)
        else:
            pending += list(node.input)
    return names


def service(recipe: Recipe, task: TaskSpec, engines: Mapping[str, EngineSpec]) -> ServiceSpec:
    return ServiceSpec(
        name=recipe.name,
        family=recipe.family,
        precision=recipe.precision,
        task=task,
        engines=dict(engines),
        batch=recipe.batch,
    )


def _port(value: Any, role: str, batch: int) -> Port:
    shape = surgery.shape_of(value)
    if shape and value.type.tensor_type.shape.dim[0].dim_param == BATCH:
        shape = (batch, *shape[1:])
    return Port(role, value.name, str(surgery.dtype_of(value).name), shape)
