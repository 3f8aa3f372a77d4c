"""The source: a torch model (`module:factory`, TorchScript, ExportedProgram) in, an ONNX graph and a program out."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import LoadedModel, Model, ModelSpec, Role, TensorSpec
from edgewright.core.plugs import did_you_mean
from edgewright.sources.examples import example_inputs
from edgewright.sources.families import recognise
from edgewright.sources.model_file import save_model
from edgewright.sources.parity import check_parity, differs, run_graph
from edgewright.sources.program import save_program
from edgewright.sources.torch.difference import first_difference
from edgewright.sources.torch.export import export_graph, flat, named_outputs
from edgewright.sources.torch.opening import FACTORY, Opened, open_module

_INTEGER_NAMES = ("ids", "mask", "token", "index", "indices")


@dataclass(frozen=True)
class _Content:
    """The module behind one calling convention, its inputs as torch tensors, and what it answered."""

    opened: Opened
    module: Any
    inputs: Mapping[str, Any]
    answers: Mapping[str, NDArray[Any]]


class TorchSource:
    """Models that need torch, and the code they are made of, to be read."""

    name = "torch"

    def matches(self, spec: ModelSpec) -> bool:
        """`module:factory`, `.ts`, `.pt2`, `.safetensors`, or a `.pt` with TorchScript code inside."""
        path = Path(spec.source)
        if spec.format not in ("", self.name) or spec.source.startswith("null"):
            return False
        if FACTORY.fullmatch(spec.source) and not path.exists():
            return True
        suffix = path.suffix.lower()
        if suffix in (".ts", ".torchscript", ".pt2", ".safetensors"):
            return True
        return suffix in (".pt", ".pth") and _has_code(path)

    def load(self, spec: ModelSpec) -> LoadedModel:
        """Opens the model and runs it once. UnsafeModelError without `trust: true`; InputError otherwise."""
        import torch

        opened = open_module(spec)
        inputs = {name: torch.from_numpy(array) for name, array in _inputs(spec, opened).items()}
        positional = FACTORY.fullmatch(spec.source) is None
        module = flat(opened.module, opened.names, positional=positional)
        answers = _run(opened, inputs, positional)
        specs = [TensorSpec(name, str(tensor.numpy().dtype), tuple(tensor.shape)) for name, tensor in inputs.items()]
        found = recognise(specs, answers, opened.metadata, spec.labels)
        return LoadedModel(
            spec=spec,
            source=self.name,
            hints=found.hints,
            content=_Content(opened, module, inputs, answers),
            module=module,
            example={name: tensor.numpy() for name, tensor in inputs.items()},
            parameters=sum(parameter.numel() for parameter in opened.module.parameters()),
        )

    def to_onnx(self, loaded: LoadedModel, opset: int, folder: Path) -> dict[Role, Model]:
        """`folder`/model.onnx and model.pt2. Every dimension the module leaves open stays open; the batch does where
        the exported graph can really take another one."""
        content: _Content = loaded.content
        proto, dynamic = _exported(content, opset)
        feeds = {name: tensor.numpy() for name, tensor in content.inputs.items()}
        parity = check_parity(
            run_graph(proto.SerializeToString(), feeds),
            list(content.answers.values()),
            "torch",
            lambda: first_difference(proto, lambda: content.module(*content.inputs.values()), feeds),
        )
        notes = [] if dynamic else ["The exported graph takes one batch size only."]
        program = _program(content, folder, notes)
        hints = _with_notes(loaded.hints, notes)
        model = save_model(
            proto, folder, source=self.name, opset=opset, hints=hints, parity=parity, program=program,
            parameters=loaded.parameters,
        )  # fmt: skip
        return {"main": model}


def _has_code(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist()[:2000])
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def _inputs(spec: ModelSpec, opened: Opened) -> dict[str, NDArray[Any]]:
    """An array per input, of the shape the configuration asks for, or else the module's own example."""
    for name in spec.inputs:
        if name not in opened.names:
            raise InputError(f"The model has no input '{name}'.", did_you_mean(name, opened.names))
    found: dict[str, NDArray[Any]] = {}
    for name in opened.names:
        own = opened.example.get(name)
        shape = spec.inputs.get(name)
        if own is not None and (shape is None or tuple(own.shape) == tuple(shape)):
            found[name] = np.ascontiguousarray(own.detach().cpu().numpy())
        elif shape is None:
            raise InputError(f"The shape of the input '{name}' is not known.", f"State it: `inputs: {{{name}: […]}}`.")
        else:
            dtype = str(own.numpy().dtype) if own is not None else _likely_type(name)
            found |= example_inputs([TensorSpec(name, dtype, tuple(shape))])
    return found


def _likely_type(name: str) -> str:
    """Token ids and masks are int64 by custom; everything else is float32 (a module can say so: `example_inputs`)."""
    return "int64" if any(word in name.lower() for word in _INTEGER_NAMES) else "float32"


def _run(opened: Opened, inputs: Mapping[str, Any], positional: bool) -> dict[str, NDArray[Any]]:
    import torch

    try:
        with torch.no_grad():
            answer = opened.module(*inputs.values()) if positional else opened.module(**inputs)
    except Exception as error:  # whatever the module's own code raises
        shapes = {name: list(tensor.shape) for name, tensor in inputs.items()}
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(
            f"The model cannot run on inputs of shape {shapes} ({reason}).", "State fitting shapes in `inputs:`."
        ) from error
    return {name: np.array(tensor.numpy()) for name, tensor in named_outputs(answer).items()}


def _exported(content: _Content, opset: int) -> tuple[Any, bool]:
    """The graph, and whether its batch is open: tried with one, kept only if a batch of two gives the same answers."""
    sizes = {tensor.shape[0] if tensor.ndim else 0 for tensor in content.inputs.values()}
    own = {name: dict(axes) for name, axes in content.opened.dynamic.items() if name in content.inputs}
    names = list(content.answers)
    if sizes == {1}:
        batched = {name: {0: "batch"} | own.get(name, {}) for name in content.inputs}
        batched |= {name: {0: "batch"} for name, array in content.answers.items() if array.ndim and array.shape[0] == 1}
        try:
            proto = export_graph(content.module, content.inputs, names, opset, batched)
            if _takes_two(proto, content):
                _fix_dimensions(proto, content, batched)
                return proto, True
        except InputError:
            pass  # the fixed shape below either works or says why not
    proto = export_graph(content.module, content.inputs, names, opset, own)
    _fix_dimensions(proto, content, own)
    return proto, sizes != {1}


def _takes_two(proto: Any, content: _Content) -> bool:
    feeds = {name: np.repeat(tensor.numpy(), 2, 0) for name, tensor in content.inputs.items()}
    answers = _try(proto, feeds)
    pairs = zip(answers, content.answers.values(), strict=False)
    return bool(answers) and all(
        not differs(two, np.repeat(one, 2, 0)) for two, one in pairs if one.ndim and one.shape[0] == 1
    )


def _fix_dimensions(proto: Any, content: _Content, dynamic: Mapping[str, Mapping[int, str]]) -> None:
    """Output dimensions that the exporter left open for no reason get their number: those that stay what they are when
    every open dimension of the inputs grows by one."""
    grown = {name: _grown(tensor.numpy(), tuple(dynamic.get(name, {}))) for name, tensor in content.inputs.items()}
    answers = _try(proto, grown) if dynamic else list(content.answers.values())
    known = {symbol for axes in dynamic.values() for symbol in axes.values()}
    for value, first, second in zip(proto.graph.output, content.answers.values(), answers, strict=False):
        for dimension, n, m in zip(value.type.tensor_type.shape.dim, first.shape, second.shape, strict=False):
            if n == m and not dimension.HasField("dim_value") and dimension.dim_param not in known:
                dimension.dim_value = n


def _grown(array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    for axis in axes:
        array = np.concatenate((array, np.take(array, [-1], axis)), axis)
    return array


def _try(proto: Any, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """What the graph gives, or nothing where it does not take these shapes."""
    try:
        return run_graph(proto.SerializeToString(), feeds)
    except Exception:  # ONNX Runtime's errors have no common base but Exception
        return []


def _program(content: _Content, folder: Path, notes: list[str]) -> Path | None:
    """The program of the PyTorch baseline; a note where torch cannot make one (TorchScript, data-dependent code)."""
    if content.opened.exported is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(content.opened.exported, folder / "model.pt2"))
    try:
        axes = [tuple(content.opened.dynamic.get(name, {})) for name in content.inputs]
        return save_program(content.module, list(content.inputs.values()), folder, open_axes=axes)
    except Exception as error:  # torch.export raises errors of many kinds for what it cannot capture
        notes.append(f"There is no PyTorch baseline: torch.export cannot capture this model ({type(error).__name__}).")
        return None


def _with_notes(hints: Any, notes: list[str]) -> Any:
    import dataclasses

    return dataclasses.replace(hints, notes=(*hints.notes, *notes))
