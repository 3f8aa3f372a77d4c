"""The command line as a user has it: a process of its own, in an empty folder, with a store of its own.

Measurements are shorter than a user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import facts, known_machine  # noqa: F401
from work import SHORT


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON object on stdout, and nothing beside it."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Edgewright = Callable[..., Said]


@pytest.fixture
def edgewright(tmp_path: Path) -> Edgewright:
    """Runs `edgewright WORDS…` in the test's folder."""

    def run(*words: str | Path, env: dict[str, str] | None = None, timeout: float = 300) -> Said:
        environment = {**os.environ, "EDGEWRIGHT_HOME": str(tmp_path / "home"), **(env or {})}
        command = [sys.executable, "-c", SHORT, *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=timeout)
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> Path:
    """A classifier of ten classes on 1×3×16×16: one convolution, a mean, a matrix product."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(generator.normal(0, 0.2, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["images", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        [weights("w", 8, 3, 3, 3), weights("m", 8, 10)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path = tmp_path / "tiny.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten small pictures in a folder per class."""
    import cv2

    generator = np.random.default_rng(1)
    for number in range(10):
        folder = tmp_path / "pictures" / f"c{number}"
        folder.mkdir(parents=True)
        for i in range(2):
            image = generator.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{i}.png"), image)
    return tmp_path / "pictures"
