"""torch is installed as a CPU build, wherever packages come from."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_cpu_torch", root / "tools/install_cpu_torch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("planned", "from_cpu_index"),
    [
        (["torch", "sympy", "networkx"], False),
        (["torch", "nvidia-cudnn-cu13", "triton", "sympy"], True),
        (["torch", "cuda-toolkit"], True),
    ],
)
def test_what_would_bring_cuda_comes_from_the_cpu_index(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, planned: list[str], from_cpu_index: bool
) -> None:
    asked: list[list[str]] = []

    def run(command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        if "--report" in words:
            found = {"install": [{"metadata": {"name": name}} for name in planned]}
            Path(words[words.index("--report") + 1]).write_text(json.dumps(found))
        elif "pip" in words:
            asked.append(words)
        else:
            return subprocess.CompletedProcess(words, 1)  # torch is not installed yet
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(script.subprocess, "run", run)
    script.main()
    (words,) = asked
    assert (script.CPU_INDEX in words) is from_cpu_index
    assert (words[-1] if not from_cpu_index else words[-3]).startswith("torch")
    assert any(word.endswith("+cpu") for word in words) is from_cpu_index
