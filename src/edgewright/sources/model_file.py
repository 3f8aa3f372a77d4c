"""What every source ends with: an ONNX graph checked, written and described as a `Model`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Parity, TaskHints, TensorSpec

INLINE_BYTES = 1 << 30
"""Weights above this go into a file beside the graph: a protobuf message cannot hold 2 GiB."""


def save_model(
    proto: Any,
    folder: Path,
    *,
    source: str,
    opset: int | None,
    hints: TaskHints,
    parity: Parity | None = None,
    program: Path | None = None,
    steps: Sequence[str] = (),
    parameters: int | None = None,
    name: str = "model",
) -> Model:
    """Writes `proto` as `folder`/`name`.onnx and gives its record. `parameters` is counted where it is not given.

    InputError if the opset written in it is not the one asked (None: any).
    """
    written = opset_of(proto)
    if opset is not None and written != opset:
        raise InputError(
            f"The graph was written in opset {written}, but opset {opset} was asked for.",
            f"Set `opset: {written}`, or install a torch whose exporter can write {opset}.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    _write(proto, path)
    return Model(
        path=path,
        digest=digest_of_file(path),
        inputs=input_specs(proto),
        outputs=tuple(tensor_spec(value) for value in proto.graph.output),
        opset=written,
        source=source,
        hints=hints,
        parity=parity,
        parameters=parameter_count(proto) if parameters is None else parameters,
        program=program,
        steps=tuple(steps),
    )


def opset_of(proto: Any) -> int:
    """The version of ONNX's own operators that the graph is written in; 1 where it does not say."""
    return max((int(entry.version) for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def input_specs(proto: Any) -> tuple[TensorSpec, ...]:
    """Inputs without the initializers, which old files list among them."""
    constants = {initializer.name for initializer in proto.graph.initializer}
    return tuple(tensor_spec(value) for value in proto.graph.input if value.name not in constants)


def tensor_spec(value: Any) -> TensorSpec:
    """Name, numpy type and shape of a graph's input or output; InputError for one that is not a tensor."""
    import numpy as np
    from onnx import TensorProto, helper

    if not value.type.HasField("tensor_type"):
        raise InputError(
            f"'{value.name}' is not a tensor.", "Only models whose inputs and outputs are tensors are read."
        )
    tensor = value.type.tensor_type
    if tensor.elem_type in (TensorProto.UNDEFINED,):
        raise InputError(f"'{value.name}' has no type.", "Export the model again with typed inputs and outputs.")
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    shape = tuple(_dimension(d) for d in tensor.shape.dim)
    return TensorSpec(value.name, "str" if dtype == np.object_ else str(np.dtype(dtype)), shape)


def parameter_count(proto: Any) -> int:
    """Floating-point weights in the graph; shapes and indices are not counted."""
    import math

    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    return sum(math.prod(t.dims) for t in proto.graph.initializer if t.data_type in floats)


def digest_of_file(path: Path) -> str:
    """sha256 (hex) of a graph's bytes, followed by those of its external data where it has them."""
    digest = hashlib.sha256()
    for part in (path, path.with_name(path.name + ".data")):
        if part.is_file():
            with part.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
    return digest.hexdigest()


def _dimension(dimension: Any) -> int | str | None:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) if dimension.dim_param else None


def _write(proto: Any, path: Path) -> None:
    """The whole file or none: written beside, then renamed."""
    import onnx

    if sum(len(t.raw_data) for t in proto.graph.initializer) > INLINE_BYTES:
        onnx.save_model(proto, str(path), save_as_external_data=True, location=path.name + ".data")
        return
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(proto.SerializeToString(deterministic=True))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
