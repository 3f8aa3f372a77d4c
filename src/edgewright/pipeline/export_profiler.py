"""Export: the scripts that profile a model where its accelerator is, as files for a person to keep and run.

The scripts are the same for every model (`codegen/profiler`); what differs is in settings.json and the model's files.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.codegen.profiler import scripts
from edgewright.core.errors import InputError
from edgewright.core.model import Model, TensorSpec
from edgewright.core.record import Record
from edgewright.pipeline.load import load
from edgewright.pipeline.progress import Progress, Silent
from edgewright.pipeline.project import Project


@dataclass(frozen=True)
class ExportedProfiler(Record):
    """The files written, relative to `folder`, and sentences about what could not be."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def export_profiler(project: Project, out: Path, progress: Progress | None = None) -> ExportedProfiler:
    """Writes the scripts, settings.json and, where the model came from PyTorch, its program into the folder `out`.
    InputError where an input's shape is open and the configuration does not fix it."""
    model = load(project, progress or Silent()).main
    inputs, models, notes = _inputs(project, model), list[str](), list[str]()
    out.mkdir(parents=True, exist_ok=True)
    if model.program is None:
        notes.append(
            "The model has no PyTorch program (it came as ONNX, or torch is not installed here): only the scripts "
            "for an .om can be used."
        )
    else:
        models, notes = _write_model(model, inputs, out)
    settings = {"model": project.name, "inputs": inputs, "models": models}
    files = {**scripts(), "settings.json": (json.dumps(settings, indent=2) + "\n").encode()}
    for name, content in files.items():
        (out / name).write_bytes(content)
    return ExportedProfiler(out, tuple(sorted([*files, *models])), tuple(notes))


def _inputs(project: Project, model: Model) -> list[dict[str, Any]]:
    asked = project.config.model.inputs
    return [{"name": t.name, "dtype": t.dtype, "shape": _shape(t, asked)} for t in model.inputs]


def _shape(tensor: TensorSpec, asked: Mapping[str, tuple[int, ...]]) -> list[int]:
    """The configuration's shape, else the model's own with a batch of one."""
    if asked.get(tensor.name):
        return list(asked[tensor.name])
    shape = [1 if i == 0 and not isinstance(n, int) else n for i, n in enumerate(tensor.shape)]
    fixed = [n for n in shape if isinstance(n, int)]
    if len(fixed) != len(shape):
        raise InputError(
            f"The input '{tensor.name}' has no fixed shape: {list(tensor.shape)}.", "Write it under `model.inputs`."
        )
    return fixed


def _write_model(model: Model, inputs: list[dict[str, Any]], out: Path) -> tuple[list[str], list[str]]:
    """The exported program as it is, and the same as TorchScript: training machines often have an older PyTorch, which
    reads no newer program. The TorchScript is written only if it computes the same."""
    import torch

    assert model.program is not None
    (out / "model.pt2").write_bytes(model.program.read_bytes())
    module = torch.export.load(str(model.program)).module()
    generator = torch.Generator().manual_seed(0)
    samples = [_sample(port, generator) for port in inputs]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of being old: that is what it is for here
            traced = torch.jit.trace(module, tuple(samples), check_trace=False)
            same = all(
                torch.equal(a, b) for a, b in zip(_tensors(module(*samples)), _tensors(traced(*samples)), strict=True)
            )
            if same:
                traced.save(str(out / "model.ts"))
                return ["model.pt2", "model.ts"], []
    except Exception as error:  # tracing fails in many ways, none of which spoils the program beside it
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        return ["model.pt2"], [f"No TorchScript for older PyTorch: {reason}."]
    return ["model.pt2"], ["No TorchScript for older PyTorch: it computed other outputs."]


def _sample(port: Mapping[str, Any], generator: Any) -> Any:
    import torch

    dtype = getattr(torch, port["dtype"])
    if dtype.is_floating_point:
        return torch.rand(port["shape"], generator=generator).to(dtype)
    return torch.randint(0, 2, port["shape"], generator=generator).to(dtype)


def _tensors(result: Any) -> list[Any]:
    import torch

    if torch.is_tensor(result):
        return [result]
    items = list(result.values()) if isinstance(result, dict) else result
    return [leaf for item in items for leaf in _tensors(item)] if isinstance(items, (list, tuple)) else []
