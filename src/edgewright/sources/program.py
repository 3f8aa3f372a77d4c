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


def save_program(module: Any, inputs: Sequence[Any], folder: Path, name: str = "model") -> Path:
    """Writes `folder`/`name`.pt2: `module` in eval mode, fp32, with the fixed shapes of the torch tensors `inputs`."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt2"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), tuple(inputs)), str(path))
    return path
