"""Model: an ONNX graph on disk with named, shaped inputs and outputs, known by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.record import Record

Role = str
"""What a model does in its task: "main" for a detector; "encoder", "decoder" for speech."""


@dataclass(frozen=True)
class TensorSpec(Record):
    """One input or output. `dtype` is numpy's name; a dynamic dimension is its symbol, or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    @property
    def is_fixed(self) -> bool:
        return all(isinstance(n, int) for n in self.shape)


@dataclass(frozen=True)
class Step(Record):
    """One step of pre- or post-processing as data; its meaning is in `edgewright.device.steps`."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskHints(Record):
    """What a source knows of the task from the file itself; empty fields mean "not known".

    `anchors` are pixels of the network's input, one row of (w, h) per stride. `family` names the
    decoder: "yolov5", "yolox", "yolov8"; "" for other models. `notes` are sentences for the user.
    """

    kind: str = ""
    family: str = ""
    labels: tuple[str, ...] = ()
    strides: tuple[int, ...] = ()
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    preprocess: tuple[Step, ...] = ()
    postprocess: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parity(Record):
    """The exported graph's outputs against the original framework's, on the same input."""

    against: str
    max_abs: float
    cosine: float
    checked: bool = True
    note: str = ""


@dataclass(frozen=True)
class Model(Record):
    """An immutable ONNX graph. `path` is a file of the store; `digest` is the sha256 of its bytes
    (with those of its external data, if any). `program` is the same network as a torch
    ExportedProgram (`.pt2`) where torch could write one: the PyTorch baseline runs it."""

    path: Path
    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    source: str = ""
    hints: TaskHints = TaskHints()
    parity: Parity | None = None
    parameters: int = 0
    program: Path | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSpec(Record):
    """What the configuration says of a model, paths resolved.

    `source` is a path, `module:factory`, or the name of a null model. `inputs` maps an input's name
    to its wanted shape; `()` means as the file says. `format` forces a source room member.
    """

    source: str
    format: str = ""
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    weights: Path | None = None
    labels: tuple[str, ...] = ()
    opset: int = 17
    trust: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A model as its source read it, in memory: `content` is the source's own business.

    `module` is the torch module if there is one. `example` holds one array per input name.
    """

    spec: ModelSpec
    source: str
    hints: TaskHints
    content: Any
    module: Any | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
