"""The network as a torch ExportedProgram (`.pt2`), for the PyTorch eager baseline of the benchmark."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def torch_is_here() -> bool:
    """Whether torch is installed, without importing it (that takes seconds)."""
    return importlib.util.find_spec("torch") is not None


def save_program(
    module: Any,
    inputs: Sequence[Any],
    folder: Path,
    name: str = "model",
    *,
    open_axes: Sequence[Sequence[int]] = (),
    variadic: bool = True,
) -> Path:
    """Writes `folder`/`name`.pt2: `module` in eval mode, fp32, with the shapes of the torch tensors `inputs`, fixed
    but for the `open_axes` of each input (an axis of size 1 stays fixed: torch takes it for a broadcast).
    `variadic` says that the module takes its inputs as `*inputs`."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt2"
    shapes: Any = None
    if any(open_axes):
        pairs = zip(inputs, open_axes, strict=True)
        free = [{axis: torch.export.Dim.AUTO for axis in axes if tensor.shape[axis] > 1} for tensor, axes in pairs]
        shapes = (tuple(free),) if variadic else tuple(free)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), tuple(inputs), dynamic_shapes=shapes)
        torch.export.save(program, str(path))
    return path
