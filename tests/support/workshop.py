"""C++ projects built as a user builds them, and services to build them for.

A Workshop is one build folder: from one service to the next only the task's data are compiled again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgewright
from edgewright.codegen.program import write_program
from edgewright.core.model import Step
from edgewright.core.recipe import EngineSpec, Port, ServiceSpec
from edgewright.core.task import TaskSpec

PACKAGE = Path(edgewright.__file__).parent
LABELS = ("cat", "dog", "bird")


class Workshop:
    def __init__(self, folder: Path, options: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.folder, self._options = folder, list(options)
        self.environment = dict(environment or os.environ)
        self._count = 0

    def program(self, service: ServiceSpec, *options: str, backend: str | None = None) -> Path:
        """The program of a service, in a folder of its own."""
        write_program(service, self.folder / "project", backend=backend)
        return self._built(*options)

    def exported(self, folder: Path) -> Path:
        """The program of a project that is written already: it differs from any other in its data alone."""
        project = self.folder / "project"
        for path in sorted(
            path for top in ("src", "cmake", "CMakeLists.txt") for path in [*(folder / top).rglob("*"), folder / top]
        ):
            copy = project / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and not (copy.is_file() and copy.read_bytes() == path.read_bytes()):
                shutil.copyfile(path, copy)
        return self._built()

    def _built(self, *options: str) -> Path:
        project = self.folder / "project"
        make = ["cmake", "--build", project / "build", "--parallel", "2"]
        configure = ["cmake", "-S", project, "-B", project / "build", *self._options, *options]
        configured = (project / "build/Makefile").is_file() and not options
        for words in (make,) if configured else (configure, make):
            done = subprocess.run(
                list(map(str, words)), env=self.environment, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self._count += 1
        place = self.folder / f"program-{self._count}"
        place.mkdir()
        return Path(shutil.copy2(project / "build" / "predict", place / "predict"))


def openvino_options() -> list[str]:
    found = find_spec("openvino")
    if found is None or not found.submodule_search_locations:
        pytest.skip("openvino is not installed: its package brings the headers and libraries")
    return [f"-DOpenVINO_DIR={found.submodule_search_locations[0]}/cmake", "-DWARNINGS_AS_ERRORS=ON"]


def needs(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (tools/system-packages.sh)")


def opencv() -> str:
    """-DWITH_OPENCV=… by whether the system's OpenCV is here; CI has it."""
    there = any(Path(root, "opencv4/opencv2/core.hpp").is_file() for root in ("/usr/include", "/usr/local/include"))
    if not there and os.environ.get("EDGEWRIGHT_REQUIRE_ALL") == "1":
        pytest.skip("libopencv-dev is not installed (tools/system-packages.sh)")
    return f"-DWITH_OPENCV={'ON' if there else 'OFF'}"


def steps(*entries: tuple[str, Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(kind, params) for kind, params in entries)


def service(
    pre: tuple[Step, ...],
    post: tuple[Step, ...],
    entry: EngineSpec,
    kind: str = "detection",
    family: str = "openvino",
    confidence: float = 0.25,
) -> ServiceSpec:
    limits = {"confidence": confidence, "iou": 0.45, "max_detections": 100}
    detects = kind == "detection"
    task = TaskSpec(
        kind,
        pre,
        post,
        LABELS,
        limits if detects else {},
        {**limits, "confidence": 0.01, "iou": 0.6, "multi_label": 1} if detects else {},
    )
    return ServiceSpec("small", family, "fp32", task, {"main": entry})


def service_folder(spec: ServiceSpec, model: Path, folder: Path) -> Path:
    """A service folder around a model file, with the family's engine and the task's program."""
    (folder / "model").mkdir(parents=True)
    (folder / "app").mkdir()
    (folder / "service.json").write_text(json.dumps(spec.to_json()))
    shutil.copyfile(model, folder / next(iter(spec.engines.values())).path)
    shutil.copyfile(PACKAGE / f"targets/{spec.family}/ondevice.py", folder / "app/engine.py")
    shutil.copyfile(PACKAGE / f"tasks/{spec.task.kind}/ondevice.py", folder / "app/task.py")
    return folder


def port(name: str, shape: Sequence[int | None], dtype: str = "float32", role: str = "") -> Port:
    return Port(role or name, name, dtype, tuple(shape))


def constant_model(path: Path, input_shape: Sequence[int], outputs: Mapping[str, np.ndarray]) -> None:
    """uint8 NHWC in; the outputs are those given, whatever comes in (a network keeps what its input reaches)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node
    shape = [1, *input_shape[1:]]
    nodes = [
        node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        node("ReduceMax", ["float"], ["top"], keepdims=0),
        node("Mul", ["top", "zero"], ["nothing"]),
    ]
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "zero")]
    results = []
    for name, values in outputs.items():
        constants.append(numpy_helper.from_array(values.astype(np.float32), f"{name}_values"))
        nodes.append(node("Add", [f"{name}_values", "nothing"], [name]))
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(values.shape)))
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, shape)
    graph = helper.make_graph(nodes, "constant", [x], results, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def echo_model(path: Path, dtype: str, shape: Sequence[int]) -> int:
    """The input as one row of float values: what pre-processing made can be read at the output. Gives their number."""
    import onnx
    from onnx import TensorProto, helper

    kind = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}[dtype]
    count = int(np.prod(shape))
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["y"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", kind, list(shape))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, count])
    graph = helper.make_graph(nodes, "echo", [x], [y], [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return count


def ask(program: Path, *words: object, environment: Mapping[str, str] | None = None) -> list[Any]:
    """The program's JSON lines; it must end well."""
    done = subprocess.run(
        [str(program), *map(str, words)],
        env=dict(environment or os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(
    program: Path, *words: object, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[int, str]:
    """The exit status and the one line on standard error of a program that must fail."""
    done = subprocess.run(
        [str(program), *map(str, words)],
        env=dict(environment or os.environ),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode > 0, done.stderr[-2000:]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("predict: ")
    return done.returncode, lines[0]


def write_ppm(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + np.ascontiguousarray(pixels).tobytes())
    return path
