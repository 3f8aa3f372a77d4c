"""The program under AddressSanitizer and UndefinedBehaviorSanitizer, on the stand-in; only what third-party libraries
keep until the process ends is left out."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from workshop import Workshop, needs, port, service, steps, write_ppm

from edgewright.codegen.program import SOURCES
from edgewright.core.recipe import EngineSpec

pytestmark = pytest.mark.slow
SIDE = 64


@pytest.fixture(scope="module")
def detector(toolkit, tmp_path_factory) -> Path:
    """A convolution as a raw YOLOv5 head of stride 8, by image and batch gears of the real converter's interface."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path_factory.mktemp("detector")
    weights = numpy_helper.from_array(np.random.default_rng(0).normal(0, 0.1, (16, 3, 8, 8)).astype("f4"), "w")
    node = helper.make_node("Conv", ["x", "w"], ["head_8"], name="conv", kernel_shape=[8, 8], strides=[8, 8])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    y = helper.make_tensor_value_info("head_8", TensorProto.FLOAT, ["n", 16, SIDE // 8, SIDE // 8])
    graph = helper.make_graph([node], "head", [x], [y], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), folder / "m.onnx")
    words = ["atc", "--model=m.onnx", "--framework=5", "--soc_version=Ascend310B4"]
    for name, options in (
        ("fixed", [f"--input_shape=x:1,3,{SIDE},{SIDE}"]),
        ("gears", [f"--input_shape=x:-1,3,{SIDE},{SIDE}", "--dynamic_batch_size=1,2,4"]),
    ):
        done = toolkit.run(*words, f"--output={name}", *options, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "cut.om").write_bytes((folder / "fixed.om").read_bytes()[:-10])
    return folder


@pytest.fixture(scope="module")
def checked(toolkit, detector, tmp_path_factory):
    """Runs the program with both sanitizers; what it says and how it ended."""
    needs("cmake", "make", "c++")
    folder = tmp_path_factory.mktemp("sanitized")
    options = [
        "-DSANITIZE=address,undefined",
        "-DCMAKE_BUILD_TYPE=None",
        "-DWITH_OPENCV=OFF",
        "-DWARNINGS_AS_ERRORS=ON",
    ]
    anchors = [[(10.0, 12.0), (20.0, 16.0)]]
    post = steps(
        ("yolov5_heads", {"roles": ["head_8"], "strides": [8], "anchors": anchors}), ("nms", {}), ("unletterbox", {})
    )
    pre = steps(("letterbox", {"size": [SIDE, SIDE]}), ("scale", {"factor": 1 / 255}), ("layout", {"to": "NCHW"}))
    cells = SIDE // 8
    entry = EngineSpec("model/main.om", {}, (port("x", (1, 3, SIDE, SIDE)),), (port("head_8", (1, 16, cells, cells)),))
    spec = service(pre, post, entry, family="cann", confidence=0.2)
    program = Workshop(folder, options, toolkit.environment(8)).program(spec)

    def run(*words: object, **variables: str):
        package = find_spec("openvino").submodule_search_locations[0]
        libraries = f"{toolkit.environment(8)['LD_LIBRARY_PATH']}:{package}/libs"
        done = toolkit.run(
            program, *words, cwd=detector, LD_LIBRARY_PATH=libraries, TBB_ENABLE_SANITIZERS="1",
            ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1",
            LSAN_OPTIONS=f"suppressions={SOURCES / 'sanitizers/leaks.txt'}:print_suppressions=0", **variables,
        )  # fmt: skip
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-6000:]
        assert "was not released" not in done.stderr and "not released" not in done.stderr, done.stderr
        return done

    return run


def test_every_way_through_the_program_is_clean(checked, detector, tmp_path):
    random = np.random.default_rng(2)
    for k in range(5):
        size = (int(random.integers(20, 90)), int(random.integers(20, 90)), 3)
        write_ppm(tmp_path / f"{k}.ppm", random.integers(0, 256, size, dtype=np.uint8))
    answers = {}
    for name, words in {
        "device": ("--model", "fixed.om"),
        "host": ("--model", "fixed.om"),
        "gears": ("--model", "gears.om", "--batch", 4, "--save", tmp_path / "out"),
    }.items():
        done = checked(*words, tmp_path, CANNSIM_RUN_MODE="host" if name == "host" else "device")
        assert done.returncode == 0, done.stderr
        answers[name] = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert sum(map(len, answers["device"])) > 10
    assert answers["device"] == answers["host"] == answers["gears"]
    assert len(list((tmp_path / "out").iterdir())) == 5
    done = checked("--model", "gears.om", "--bench", "--seconds", "0", "--batch", 2, "--profile", tmp_path / "prof")
    assert done.returncode == 0, done.stderr


def test_every_way_to_fail_releases_what_was_acquired(checked, tmp_path):
    picture = write_ppm(tmp_path / "a.ppm", np.zeros((9, 9, 3), np.uint8))
    assert checked("--model", "cut.om", picture).returncode == 4
    for fault in ("no-permission", "busy", "oom"):
        assert checked("--model", "fixed.om", picture, CANNSIM_FAULT=fault).returncode == 4
    assert checked("--model", "fixed.om", "--golden", tmp_path).returncode == 3
    assert checked("--model", "fixed.om", tmp_path / "none.ppm").returncode == 3
    (tmp_path / "golden").mkdir()
    for text in ("", "{", '{"samples": [{"file": "../../etc/passwd"}]}', "[" * 100, '{"samples": [{"file": "x.npy"}]}'):
        (tmp_path / "golden/golden.json").write_text(text)
        assert checked("--model", "fixed.om", "--golden", tmp_path).returncode == 3
    for head in (b"", b"P6", b"P6\n-1 5\n255\n", b"P6\n99999 99999\n255\n", b"P6\n4 4\n65535\n", b"P6\n4 4\n255\nabc"):
        (tmp_path / "b.ppm").write_bytes(head)
        assert checked("--model", "fixed.om", tmp_path / "b.ppm").returncode == 3
