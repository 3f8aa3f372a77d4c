"""The stand-in, built and installed once a session into a temporary folder, and small networks to give it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "cannsim"
PROGRAMS = HERE / "programs"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@dataclass
class Toolkit:
    """An installed stand-in; `run` starts one of its tools, `build` compiles a program against it."""

    prefix: Path
    state: Path

    def environment(self, layout: int = 8, **extra: str) -> dict[str, str]:
        home = self.prefix / ("cann" if layout == 9 else "ascend-toolkit/latest")
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("ASCEND", "CANNSIM", "LD_"))}
        return {
            **plain,
            "ASCEND_TOOLKIT_HOME": str(home),
            "ASCEND_HOME_PATH": str(home),
            "LD_LIBRARY_PATH": str(home / "lib64"),
            "PATH": f"{home / 'bin'}:{self.prefix / 'driver/bin'}:{os.environ['PATH']}",
            "CANNSIM_STATE_DIR": str(self.state),
            "CANNSIM_THREADS": "2",
            "ASCEND_PROCESS_LOG_PATH": str(self.state / "log"),
            **extra,
        }

    def run(self, *words: object, cwd: Path, layout: int = 8, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words], cwd=cwd, env=self.environment(layout, **extra),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def build(self, name: str, target: Path, language: str = "c", layout: int = 8, flags: tuple[str, ...] = ()) -> Path:
        home = self.prefix / ("cann" if layout == 9 else "ascend-toolkit/latest")
        libraries = ["-lacl_rt", "-lacl_mdl"] if layout == 9 else ["-lascendcl"]
        compiler = ["g++", "-xc++", "-std=c++17"] if language == "c++" else ["gcc", "-xc", "-std=gnu99"]
        command = [*compiler, *STRICT, *flags, PROGRAMS / f"{name}.c", "-xnone", f"-I{home / 'include'}"]
        command += [f"-L{home / 'lib64'}", *libraries, "-lpthread", "-o", target]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return target


@pytest.fixture(scope="session")
def toolkit(tmp_path_factory) -> Toolkit:
    for tool in ("cmake", "g++", "gcc", "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: it builds the stand-in")
    for module in ("openvino", "onnx", "onnxruntime"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: the stand-in computes with it")
    folder = tmp_path_factory.mktemp("cannsim")
    command = ["make", "-C", str(SOURCE), "install", f"PREFIX={folder / 'cann'}", f"PYTHON={sys.executable}"]
    command += [f"BUILD={folder / 'build'}", f"JOBS={os.cpu_count() or 2}", "CMAKE_FLAGS=-DCMAKE_CXX_FLAGS=-Werror"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    state = folder / "state"
    state.mkdir(mode=0o700)
    return Toolkit(folder / "cann", state)


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
