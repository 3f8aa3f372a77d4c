"""Opens the three forms a torch model comes in: `module:factory`, TorchScript, ExportedProgram.

Each of them runs somebody's code, or may when it is read, so each needs `trust: true`; a state dict does not
(`weights_only`), nor do safetensors.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.core.model import ModelSpec
from edgewright.core.plugs import did_you_mean
from edgewright.sources.families import Metadata
from edgewright.sources.program import torch_is_here

FACTORY = re.compile(r"(?P<module>.+):(?P<name>[A-Za-z_]\w*)")
SCRIPT_SUFFIXES = (".ts", ".torchscript", ".pt", ".pth")


@dataclass(frozen=True)
class Opened:
    """A module in eval mode, fp32, on the CPU. `names` are its inputs in order; `example` holds torch tensors for those
    whose values are known; `dynamic` names open dimensions, `{input: {axis: symbol}}`; `exported` is the file of an
    ExportedProgram."""

    module: Any
    names: tuple[str, ...]
    example: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=Metadata)
    exported: Path | None = None


def open_module(spec: ModelSpec) -> Opened:
    """The module that `spec` names. UnsafeModelError without `trust: true`; InputError where torch is missing, the
    factory is not there or fails, or the weights do not fit."""
    factory = FACTORY.fullmatch(spec.source)
    suffix = Path(spec.source).suffix.lower()
    if factory is None and suffix not in (*SCRIPT_SUFFIXES, ".pt2"):
        raise InputError(
            f"{Path(spec.source).name} holds weights, not the code they belong to.",
            "Name the code too: `source: module:factory`, `weights:` this file.",
        )
    if not spec.trust:
        raise UnsafeModelError(
            f"Reading {spec.source if factory else Path(spec.source).name} runs code from it.",
            "Set `trust: true` under `model:` if you trust its author, or export it to ONNX elsewhere.",
        )
    if not torch_is_here():
        raise InputError("This model needs torch, which is not installed.", "Run: pip install 'edgewright[torch]'")
    if factory is not None:
        return _from_factory(factory["module"], factory["name"], spec)
    path = Path(spec.source)
    if not path.is_file():
        raise InputError(f"There is no model at {path}.", "Check the path.")
    return _exported_program(path) if suffix == ".pt2" else _torchscript(path)


def _from_factory(where: str, name: str, spec: ModelSpec) -> Opened:
    make = _factory(where, name)
    try:
        module = make()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise InputError(
            f"{name}() of {where} fails ({reason}).", "Mend it: it is called without arguments."
        ) from error
    if not _is_module(module):
        raise InputError(f"{name}() gives a {type(module).__name__}, not a torch module.", "Return an nn.Module.")
    if spec.weights is not None:
        load_weights(module, spec.weights)
    parameters = inspect.signature(module.forward).parameters.values()
    example = {key: _as_tensor(value) for key, value in dict(getattr(module, "example_inputs", {})).items()}
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = tuple(p.name for p in parameters if p.kind in (*plain, inspect.Parameter.KEYWORD_ONLY))
    needed = {p.name for p in parameters if p.kind in plain and p.default is inspect.Parameter.empty}
    for asked in (*example, *spec.inputs):
        if asked not in known:
            raise InputError(f"forward() has no input '{asked}'.", did_you_mean(asked, known))
    return Opened(
        module=module.eval().float().requires_grad_(False),
        names=tuple(n for n in known if n in needed or n in example or n in spec.inputs),
        example=example,
        dynamic=dict(getattr(module, "dynamic_axes", {})),
        metadata=Metadata(
            labels=tuple(str(label) for label in getattr(module, "labels", ())),
            mean=tuple(float(value) for value in getattr(module, "mean", ())),
            std=tuple(float(value) for value in getattr(module, "std", ())),
        ),
    )


def _factory(where: str, name: str) -> Any:
    """The callable, from a `.py` file or an installed module."""
    try:
        if where.endswith(".py"):
            title = f"edgewright_model_{Path(where).stem}"
            found = importlib.util.spec_from_file_location(title, where)
            if found is None or found.loader is None:
                raise ImportError(f"{where} is not Python")
            module = importlib.util.module_from_spec(found)
            sys.modules[title] = module  # dataclasses and pickles look their module up by name
            found.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise InputError(f"{where} cannot be imported ({reason}).", "Check the name in `source:`.") from error
    make = getattr(module, name, None)
    if not callable(make):
        callables = tuple(key for key, value in vars(module).items() if callable(value))
        raise InputError(f"{where} has no function '{name}'.", did_you_mean(name, callables))
    return make


def load_weights(module: Any, path: Path) -> None:
    """Fills the module from a state dict (`.pt`, read with `weights_only`) or safetensors; every name must fit."""
    import torch

    if not path.is_file():
        raise InputError(f"There are no weights at {path}.", "Check `weights:`.")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(str(path))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise InputError("Safetensors are not installed.", "Run: pip install 'edgewright[torch]'") from error
    except Exception as error:  # torch and safetensors raise errors of many kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name} cannot be read as weights ({reason}).", "Save it as `torch.save(model.state_dict(), path)`."
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise InputError(f"{path.name} holds a {type(state).__name__}, not a state dict.", "Save `state_dict()`.")
    try:
        missing, unexpected = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"The weights do not fit the module: {reason}.", "Use the code they were trained with."
        ) from error
    wrong = [f"'{missing[0]}' is missing"] if missing else [f"'{unexpected[0]}' has no place"] if unexpected else []
    if wrong:
        raise InputError(f"The weights do not fit the module: {wrong[0]}.", "Use the code they were trained with.")


def _torchscript(path: Path) -> Opened:
    import torch

    try:
        module = torch.jit.load(str(path), map_location="cpu").eval().float()
        names = tuple(argument.name for argument in module.forward.schema.arguments[1:])
    except Exception as error:  # torch's C++ reader raises errors of many kinds
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path.name} is not a TorchScript program ({reason}).", "Export it to ONNX instead."
        ) from error
    return Opened(module, names)


def _exported_program(path: Path) -> Opened:
    import torch

    try:
        program = torch.export.load(str(path))
        arguments, keywords = program.example_inputs
    except Exception as error:  # torch's archive reader raises errors of many kinds
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path.name} is not an exported program ({reason}).", "Write it with torch.export.save."
        ) from error
    names = tuple(str(name) for name in program.graph_signature.user_inputs)
    values = (*arguments, *keywords.values())
    if len(names) != len(values) or not all(isinstance(value, torch.Tensor) for value in values):
        raise InputError(f"The inputs of {path.name} are not plain tensors.", "Export a module that takes tensors.")
    return Opened(program.module(), names, dict(zip(names, values, strict=True)), exported=path)


def _is_module(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _as_tensor(value: Any) -> Any:
    import torch

    return torch.as_tensor(value)
