"""Small networks to give the stand-in, and its tools as functions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def small_model():
    """Writes a network: convolution, batch norm, ReLU, a second convolution. small_model(path, dims, …) -> path."""

    def write(path: Path, dims=(1, 3, 8, 8), opset: int = 11, pool: bool = True, seed: int = 0) -> Path:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        random = np.random.default_rng(seed)

        def constant(name: str, *shape: int, low: float = -1.0) -> onnx.TensorProto:
            return numpy_helper.from_array(random.uniform(low, 1, shape).astype(np.float32), name)

        weights = [constant("w1", 8, 3, 3, 3), constant("b1", 8), constant("w2", 4, 8, 1, 1), constant("b2", 4)]
        weights += [constant(n, 8, low=0.5) for n in ("scale", "shift", "mean", "variance")]
        nodes = [
            helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", ["c1", "scale", "shift", "mean", "variance"], ["n1"], name="norm"),
            helper.make_node("Relu", ["n1"], ["r1"], name="relu"),
            helper.make_node("Conv", ["r1", "w2", "b2"], ["y" if not pool else "c2"], name="conv2"),
        ]
        if pool:
            nodes.append(helper.make_node("GlobalAveragePool", ["c2"], ["y"], name="pool"))
        shape = [d if isinstance(d, int) and d > 0 else f"d{at}" for at, d in enumerate(dims)]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(nodes, "small", [x], [y], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        onnx.save(model, str(path))
        return path

    return write


@pytest.fixture(scope="session")
def identity_model():
    """A network that hands its input on (x + 0): what AIPP made of a picture can be read at its output."""

    def write(path: Path, dims=(1, 3, 8, 8)) -> Path:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(dims))
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph([helper.make_node("Add", ["x", "zero"], ["y"], name="add")], "id", [x], [y], [zero])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), str(path))
        return path

    return write


@pytest.fixture
def atc(toolkit, tmp_path):
    """atc(model, output, *options, **environment): runs the converter in the test's folder."""

    def run(model: Path, output: str, *options: str, soc: str = "Ascend310B4", layout: int = 8, **extra: str):
        words = ["atc", f"--model={model}", "--framework=5", f"--output={output}", f"--soc_version={soc}", *options]
        return toolkit.run(*words, cwd=tmp_path, layout=layout, **extra)

    return run


@pytest.fixture
def run_om(toolkit, tmp_path):
    """run_om(om, raw bytes of the first input, **environment) -> first output as float32, through ctypes."""

    def run(om: Path, data: bytes, **extra: str) -> np.ndarray:
        source, target = tmp_path / "run_input.bin", tmp_path / "run_output.bin"
        source.write_bytes(data)
        done = toolkit.run(sys.executable, HERE / "run_om.py", om, source, target, cwd=tmp_path, **extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return np.fromfile(target, np.float32)

    return run
