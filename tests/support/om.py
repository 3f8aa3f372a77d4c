"""The .om files that the engine is tried on, and programs that run it as on a board: in a process of its own whose
environment has the toolkit's variables and nothing else. Each must leave standard error empty, for the stand-in lists
there what was not released before aclFinalize."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

SOURCE = Path(__file__).resolve().parents[2] / "src/edgewright"
PRELUDE = """
import json, os, sys, threading
import numpy as np
from edgewright.device.service import ServiceError, load_module
engine = load_module({engine!r}, "edgewright_engine")
def fails(action):
    try:
        action()
    except ServiceError as error:
        return [error.message, error.remedy]
    raise SystemExit("it did not fail")
def say(**words):
    print(json.dumps(words))
"""


def write(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: list[str], constants: list[Any]) -> None:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ports = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
    results = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", ports, results, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), path)


def small(path: Path, shape: list[Any]) -> None:
    """x → convolution, ReLU, convolution → y with four channels."""
    random = np.random.default_rng(0)
    node = onnx.helper.make_node
    sizes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 8, 1, 1), "b2": (4,)}
    constants = [onnx.numpy_helper.from_array(random.uniform(-1, 1, s).astype("f4"), n) for n, s in sizes.items()]
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], name="relu"),
        node("Conv", ["r1", "w2", "b2"], ["y"], name="conv2"),
    ]
    write(path, nodes, {"x": shape}, ["y"], constants)


def others(folder: Path) -> None:
    """pair: two inputs, their difference and sum; identity; rows: a "detector" whose row follows the picture's mean."""
    node, array = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [node("Sub", ["a", "b"], ["difference"], name="minus"), node("Add", ["a", "b"], ["total:0"], name="plus")]
    write(folder / "pair.onnx", nodes, {"a": [1, 3], "b": [1, 3]}, ["difference", "total:0"], [])
    zero = array(np.zeros(1, "f4"), "zero")
    write(folder / "identity.onnx", [node("Add", ["x", "zero"], ["y"], name="add")], {"x": [1, 3, 8, 8]}, ["y"], [zero])
    weights = np.zeros((3, 6), "f4")
    weights[:, 1] = 0.4 / 255 / 3
    nodes = [
        node("GlobalAveragePool", ["x"], ["mean"], name="pool"),
        node("Flatten", ["mean"], ["flat"], name="flat"),
        node("Gemm", ["flat", "w", "row"], ["y"], name="head"),
    ]
    row = array(np.array([1, 0.5, 1, 1, 20, 16], "f4"), "row")
    write(folder / "rows.onnx", nodes, {"x": [1, 3, 24, 32]}, ["y"], [array(weights, "w"), row])


_BUILT: dict[Path, Path] = {}


@pytest.fixture(scope="session")
def models(toolkit, tmp_path_factory) -> Path:
    """A folder of .om files, by the real commands; the same one for every module that asks."""
    if toolkit.prefix not in _BUILT:
        _BUILT[toolkit.prefix] = convert_all(toolkit, tmp_path_factory.mktemp("models"))
    return _BUILT[toolkit.prefix]


def convert_all(toolkit: Any, folder: Path) -> Path:
    small(folder / "small.onnx", [1, 3, 16, 16])
    small(folder / "open.onnx", ["n", 3, "h", "w"])
    others(folder)
    for name, text in {
        "rgb": "aipp_mode: static input_format: RGB888_U8 rbuv_swap_switch: true",
        "yuv": "aipp_mode: static input_format: YUV420SP_U8 csc_switch: true matrix_r0c0: 256 matrix_r0c1: 0 "
        "matrix_r0c2: 359 matrix_r1c0: 256 matrix_r1c1: -88 matrix_r1c2: -183 matrix_r2c0: 256 matrix_r2c1: 454 "
        "matrix_r2c2: 0 input_bias_0: 0 input_bias_1: 128 input_bias_2: 128",
        "dynamic": "aipp_mode: dynamic max_src_image_size: 1200",
    }.items():
        (folder / f"{name}.cfg").write_text(f"aipp_op {{ {text} }}")
    (folder / "calib").mkdir()
    np.random.default_rng(7).normal(size=(1, 3, 16, 16)).astype("f4").tofile(folder / "calib/0.bin")

    def tool(*words: str) -> None:
        done = toolkit.run(*words, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def atc(output: str, model: str, *options: str, soc: str = "Ascend310B4") -> None:
        tool("atc", f"--model={model}", "--framework=5", f"--output={output}", f"--soc_version={soc}", *options)

    tool("amct_onnx", "calibration", "--model", "small.onnx", "--save_path", "./q/m", "--input_shape", "x:1,3,16,16",
         "--data_dir", "./calib", "--data_types", "float32")  # fmt: skip
    atc("small", "small.onnx")
    atc("int8", "q/m_deploy_model.onnx")
    atc("p3", "small.onnx", soc="Ascend310P3")
    atc("half", "small.onnx", "--output_type=FP16", "--input_fp16_nodes=x")
    atc("pair", "pair.onnx")
    atc("rows", "rows.onnx")
    atc("rgb", "identity.onnx", "--insert_op_conf=rgb.cfg")
    atc("yuv", "identity.onnx", "--insert_op_conf=yuv.cfg")
    atc("dynamic", "identity.onnx", "--insert_op_conf=dynamic.cfg")
    atc("batch", "open.onnx", "--input_shape=x:-1,3,16,16", "--dynamic_batch_size=1,2,4")
    image = ("--input_shape=x:1,3,-1,-1", "--dynamic_image_size=16,16;16,32")
    atc("image", "open.onnx", *image)
    atc("yuv_image", "open.onnx", *image, "--insert_op_conf=yuv.cfg")
    atc("dims", "open.onnx", "--input_shape=x:-1,3,-1,-1", "--input_format=ND", "--dynamic_dims=1,16,16;2,16,24")
    (folder / "cut.om").write_bytes((folder / "small.om").read_bytes()[:-10])
    changed = bytearray((folder / "small.om").read_bytes())
    changed[-40] ^= 0xFF
    (folder / "changed.om").write_bytes(changed)
    return folder


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Path:
    """The programs as they lie in a service folder."""
    folder = tmp_path_factory.mktemp("service") / "app"
    (folder / "edgewright").mkdir(parents=True)
    shutil.copyfile(SOURCE / "__init__.py", folder / "edgewright/__init__.py")
    shutil.copytree(SOURCE / "device", folder / "edgewright/device", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(SOURCE / "targets/cann/ondevice.py", folder / "engine.py")
    return folder


def variables(toolkit: Any, layout: int = 8, **extra: str) -> dict[str, str]:
    """What the toolkit's set_env.sh sets, and nothing of ours."""
    mine = {k: v for k, v in toolkit.environment(layout, **extra).items() if os.environ.get(k) != v}
    tools = [part for part in mine["PATH"].split(":") if str(toolkit.prefix) in part]
    return {**mine, "PATH": ":".join([*tools, "/usr/bin", "/bin"])}


@pytest.fixture
def on_board(toolkit, models, app, tmp_path) -> Callable[..., list[dict[str, Any]]]:
    """on_board(program, layout=8, before=(), drop=(), **variables): the objects it said; `before` are words in front.
    Its standard error must be empty."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def run(program: str, layout: int = 8, before: tuple[str, ...] = (), drop: tuple[str, ...] = (), **extra: str):
        given = {k: v for k, v in variables(toolkit, layout, **extra).items() if k not in drop}
        done = subprocess.run(
            [*before, sys.executable, "-c", PRELUDE.format(engine=str(app / "engine.py")) + program], cwd=models,
            env={**given, "PYTHONPATH": str(app), "TMPDIR": str(scratch)}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return run
