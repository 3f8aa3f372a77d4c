"""From a torch module to an ONNX graph: traced, in the opset asked, with the batch left open where that works.

The tracing exporter (`dynamo=False`) is tried first: it writes the opset it is asked for and needs nothing but torch.
The newer one stays at opset 18 unless asked for more, needs onnxscript, and is used for what cannot be traced.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from edgewright.core.errors import InputError

OLDEST_OPSET = 9


@functools.cache
def _flat_class() -> Any:
    from torch import nn

    class Flat(nn.Module):  # type: ignore[misc]
        """A module that takes its inputs in order, by name, and gives a flat tuple of tensors."""

        def __init__(self, module: Any, names: Sequence[str], positional: bool) -> None:
            super().__init__()
            self.module = module
            self.names = tuple(names)
            self.positional = positional

        def forward(self, *inputs: Any) -> Any:
            if self.positional:
                answer = self.module(*inputs)
            else:
                answer = self.module(**dict(zip(self.names, inputs, strict=True)))
            tensors = tuple(named_outputs(answer).values())
            return tensors[0] if len(tensors) == 1 else tensors

        def train(self, mode: bool = True) -> Any:
            """Exported programs refuse to change their mode; the wrapped module is in eval mode for good."""
            self.training = False
            return self

    return Flat


def flat(module: Any, names: Sequence[str], *, positional: bool) -> Any:
    """`module` behind one calling convention: tensors in order in, a tensor or a tuple of them out."""
    return _flat_class()(module, names, positional).train(False)


def named_outputs(answer: Any) -> dict[str, Any]:
    """Tensors of a module's answer by name: a dictionary's keys, a field's name, or output0, output1, …"""
    import torch

    if isinstance(answer, torch.Tensor):
        return {"output0": answer}
    if isinstance(answer, Mapping):
        pairs = [(str(key), value) for key, value in answer.items()]
    elif hasattr(answer, "_fields"):
        pairs = list(zip(answer._fields, answer, strict=True))
    elif isinstance(answer, (list, tuple)):
        pairs = [(f"output{i}", value) for i, value in enumerate(answer)]
    else:
        raise InputError(f"The module answers with a {type(answer).__name__}, not with tensors.", "Return tensors.")
    found: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, (list, tuple, Mapping)):
            found |= {f"{name}.{inner}": tensor for inner, tensor in named_outputs(value).items()}
    if not found:
        raise InputError("The module answers with no tensor.", "Return at least one.")
    return found


def export_graph(
    module: Any,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    opset: int,
    dynamic: Mapping[str, Mapping[int, str]],
) -> Any:
    """The `onnx.ModelProto` of a `flat` module. InputError where torch cannot write it."""
    import onnx
    import torch

    if isinstance(module.module, torch.jit.ScriptModule):
        module = module.module  # a program is exported as it is, not traced again

    buffer = io.BytesIO()
    if opset < OLDEST_OPSET:
        raise InputError(f"A torch model cannot be written in opset {opset}.", "Ask for 9 to 20; 17 is usual.")
    options: dict[str, Any] = {"input_names": list(inputs), "output_names": list(outputs), "opset_version": opset}
    try:
        _quietly(
            module, tuple(inputs.values()), buffer, dynamo=False, dynamic_axes={k: dict(v) for k, v in dynamic.items()},
            **options,
        )  # fmt: skip
        return onnx.load_model_from_string(buffer.getvalue())
    except Exception as error:  # torch raises errors of many kinds for what it cannot trace
        if importlib.util.find_spec("onnxscript") is None:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(
                f"torch cannot export this model to ONNX opset {opset} ({reason}).",
                "Try another `opset:`, install onnxscript for the newer exporter, or export it yourself.",
            ) from error
    return _newer_exporter(module, inputs, options)


def _newer_exporter(module: Any, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    try:
        program = _quietly(module, tuple(inputs.values()), None, dynamo=True, **options)
        return program.model_proto
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"torch cannot export this model to ONNX ({reason}).", "Export it yourself.") from error


def _quietly(*arguments: Any, **options: Any) -> Any:
    """torch.onnx.export without its warnings: what they warn of (opset, parity) is checked here."""
    import torch

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.onnx.export(*arguments, **options)
    finally:
        logger.setLevel(level)
