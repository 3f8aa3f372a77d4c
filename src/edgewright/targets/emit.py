"""From a graph in memory to the files and the service description that every family's build ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.recipe import EngineSpec, Port, Recipe, ServiceSpec
from edgewright.core.task import TaskSpec

IMAGE = "image"
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


def ports(model: Any, spec: TaskSpec) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs of a graph by role. The single input of a task with pre-processing is "image"; every
    other port's role is its own name."""
    values = graph_inputs(model)
    image = len(values) == 1 and bool(spec.preprocess)
    inputs = tuple(_port(value, IMAGE if image else value.name) for value in values)
    return inputs, tuple(_port(value, value.name) for value in model.graph.output)


def graph_inputs(model: Any) -> list[Any]:
    """The inputs that a caller must feed: graph inputs that are not initialisers."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def service(recipe: Recipe, task: TaskSpec, engines: Mapping[str, EngineSpec]) -> ServiceSpec:
    return ServiceSpec(
        name=recipe.name,
        family=recipe.family,
        precision=recipe.precision,
        task=task,
        engines=dict(engines),
        batch=recipe.batch,
    )


def _port(value: Any, role: str) -> Port:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name)
    return Port(role, value.name, dtype, shape)
