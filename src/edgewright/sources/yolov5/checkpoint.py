"""A YOLOv5 checkpoint (v5.0–v7.0) as data: the architecture, float32 weights, labels. No code of the file is run.

Three layouts are read: the official `{'model': Model, 'ema': Model | None, …}` with whole pickled modules (the
averaged weights `ema` win where present), a bare pickled Model, and the plain one that edgewright's own examples use,
`{'model': state_dict, 'yaml': {…}, 'names': […]}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.sources.yolov5.architecture import Activation, Architecture, read_architecture
from edgewright.sources.yolov5.inert_pickle import Thing
from edgewright.sources.yolov5.tensor_archive import TensorArchive, is_tensor
from edgewright.sources.yolov5.weights import Weights, checked_weights

MAX_MODULES = 20_000
MAX_DEPTH = 32
MAX_LABEL_LENGTH = 200
_NOT_YOLOV5 = (
    "Export it to ONNX with the code it belongs to and use that file, "
    "or name its code: `source: module:factory` with `weights:` this file."
)
_ACTIVATIONS = {
    "SiLU": "silu", "Hardswish": "hardswish", "ReLU": "relu", "LeakyReLU": "leaky_relu", "Identity": "identity",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to be rebuilt. `weights` are float32, by official parameter name."""

    architecture: Architecture
    weights: Weights
    labels: tuple[str, ...]
    layout: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """What one of the layouts gave: `state` still refers to tensors of the archive."""

    yaml: Mapping[str, Any]
    state: Mapping[str, Any]
    names: Any
    layout: str
    modules: Mapping[str, Thing] = dataclasses.field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`. InputError for another family or a damaged file, UnsafeModelError for one whose
    pickle names code that no YOLOv5 checkpoint needs."""
    with TensorArchive(path) as archive:
        found = _find(archive.root, path.name)
        activation, inner = _activations(found.modules)
        architecture = read_architecture(found.yaml, activation=activation, csp_activation=inner)
        _check_kinds(architecture, found.modules)
        arrays = {name: np.asarray(archive.array(tensor), np.float32) for name, tensor in found.state.items()}
    weights = checked_weights(architecture, arrays, _batch_norm_eps(found.modules))
    labels, notes = _labels(found.names, architecture.classes)
    return Checkpoint(_with_anchors(architecture, arrays), weights, labels, found.layout, notes)


def _find(root: Any, file: str) -> _Found:
    if isinstance(root, Thing):
        return _whole_module(root, root, "model", file)
    if not isinstance(root, dict):
        raise InputError(f"{file} holds neither a model nor a checkpoint.", _NOT_YOLOV5)
    for key in ("ema", "model"):
        if isinstance(root.get(key), Thing) and not is_tensor(root[key]):
            return _whole_module(root[key], root, key, file)
    state, yaml = root.get("model"), root.get("yaml")
    if isinstance(state, dict) and isinstance(yaml, dict):
        tensors = {name: value for name, value in state.items() if isinstance(name, str) and is_tensor(value)}
        return _Found(yaml, tensors, root.get("names"), "state_dict")
    if any(is_tensor(value) for value in (*root.values(), *(state.values() if isinstance(state, dict) else ()))):
        raise InputError(f"{file} holds weights only, without the YOLOv5 architecture they belong to.", _NOT_YOLOV5)
    raise InputError(f"{file} holds no YOLOv5 model.", _NOT_YOLOV5)


def _whole_module(model: Thing, root: Any, key: str, file: str) -> _Found:
    if model.of.endswith(("DataParallel", "DistributedDataParallel")):
        model = _children(model).get("module", model)
    yaml = model.state.get("yaml")
    if not isinstance(yaml, dict) or "backbone" not in yaml:
        raise InputError(f"{file} is not a YOLOv5 checkpoint: it holds a {model.of} without a model yaml.", _NOT_YOLOV5)
    modules = dict(_walk(model))
    state = {
        f"{prefix}.{name}" if prefix else name: value
        for prefix, module in modules.items()
        for held in ("_parameters", "_buffers")
        for name, value in (_mapping(module.state.get(held))).items()
        if is_tensor(value)
    }
    names = model.state.get("names", root.get("names") if isinstance(root, dict) else None)
    return _Found(yaml, state, names, f"module ({key})", modules)


def _walk(model: Thing) -> Iterator[tuple[str, Thing]]:
    """Every module by its dotted name, as torch's named_modules gives them. A cyclic file ends in InputError."""
    waiting = [("", model, 0)]
    for _ in range(MAX_MODULES):
        if not waiting:
            return
        prefix, module, depth = waiting.pop()
        yield prefix, module
        if depth < MAX_DEPTH:
            waiting += [(f"{prefix}.{n}" if prefix else n, child, depth + 1) for n, child in _children(module).items()]
    raise InputError(f"This checkpoint holds over {MAX_MODULES} modules.", "Use a smaller model.")


def _children(module: Thing) -> dict[str, Thing]:
    children = _mapping(module.state.get("_modules"))
    return {name: child for name, child in children.items() if isinstance(child, Thing) and len(name) < 100}


def _mapping(value: Any) -> dict[str, Any]:
    return {k: v for k, v in value.items() if isinstance(k, str)} if isinstance(value, dict) else {}


def _activations(modules: Mapping[str, Thing]) -> tuple[Activation | None, Activation | None]:
    """The activations the pickled layers were made with; None where the file does not say."""
    inner = [name for name, module in modules.items() if module.of.endswith(".BottleneckCSP")]
    found: dict[bool, set[Activation]] = {True: set(), False: set()}
    for name, module in modules.items():
        kind = _ACTIVATIONS.get(module.of.rsplit(".", 1)[-1])
        if kind is not None and name.endswith(".act"):
            slope = module.state.get("negative_slope", 0.1)
            number = float(slope) if kind == "leaky_relu" and isinstance(slope, (int, float)) else 0.1
            found[name.removesuffix(".act") in inner].add(Activation(kind, number))
    if any(len(kinds) > 1 for kinds in found.values()):
        raise InputError("The layers of this checkpoint use different activations, which v5–v7 never do.", _NOT_YOLOV5)
    return next(iter(found[False]), None), next(iter(found[True]), None)


def _check_kinds(architecture: Architecture, modules: Mapping[str, Thing]) -> None:
    """The pickled layers must be those the yaml names: people edit one and forget the other."""
    for layer in architecture.layers:
        module = modules.get(f"model.{layer.index}")
        if module is None or (layer.repeats > 1 and module.of.endswith(".Sequential")):
            continue
        kind = module.of.rsplit(".", 1)[-1]
        if kind != layer.kind:
            raise InputError(f"Layer {layer.index} is a {kind} but the model's yaml says {layer.kind}.", _NOT_YOLOV5)


def _batch_norm_eps(modules: Mapping[str, Thing]) -> dict[str, float]:
    norms = {name: m.state.get("eps") for name, m in modules.items() if m.of.endswith(".BatchNorm2d")}
    return {name: eps for name, eps in norms.items() if isinstance(eps, float) and 0 < eps < 1}


def _with_anchors(architecture: Architecture, arrays: Mapping[str, NDArray[Any]]) -> Architecture:
    """The anchors the training ended with (a buffer, in cells) instead of those the yaml began with."""
    name = f"model.{architecture.detect.index}.anchors"
    wanted = (len(architecture.strides), len(architecture.anchors[0]), 2)
    cells = arrays.get(name)
    if cells is None:
        return architecture
    if cells.shape != wanted or not np.isfinite(cells).all() or (cells <= 0).any():
        raise InputError(f"The anchors of this checkpoint have shape {cells.shape}; {wanted} is expected.", _NOT_YOLOV5)
    pixels = cells.astype(np.float64) * np.array(architecture.strides, np.float64)[:, None, None]
    anchors = tuple(tuple((float(w), float(h)) for w, h in level) for level in pixels)
    return dataclasses.replace(architecture, anchors=anchors)


def _labels(names: Any, classes: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Class names (a list, or {0: name} since v6.2), and a note where they are missing or do not fit."""
    listed = [names.get(i) for i in range(classes)] if isinstance(names, dict) else names
    if isinstance(listed, (list, tuple)) and len(listed) == classes and all(isinstance(n, str) for n in listed):
        return tuple(name[:MAX_LABEL_LENGTH] for name in listed), ()
    note = f"The checkpoint has no usable names for its {classes} classes; they are called class0, class1, …"
    return tuple(f"class{i}" for i in range(classes)), (note,)
