"""The engine for .om files: ports, names, shapes, pictures, gears, feeds. Models and board: support/om.py."""

# ruff: noqa: F811 (fixtures are imported by name)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from om import app, models, on_board  # noqa: F401

ort = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow  # every test starts a process; without EDGEWRIGHT_CANN the first builds the stand-in


def exact(models: Path, feed: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(models / "open.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": feed})[0]


MODES = [(8, "device"), (8, "host"), (9, "device"), (9, "host")]


@pytest.mark.parametrize(("layout", "mode"), MODES)
def test_an_om_runs_as_onnx_runtime_does_in_both_layouts_and_run_modes(on_board, models, tmp_path, layout, mode):
    x = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype("f4")
    np.save(tmp_path / "x.npy", x)
    (said,) = on_board(
        f"""
e = engine.open("small.om", {{"outputs": ["y"]}})
x = np.load({str(tmp_path / "x.npy")!r})
first = e.run({{"x": x * 0}})["y"]
second = e.run({{"x": x}})["y"]
np.save({str(tmp_path / "y.npy")!r}, second)
say(inputs=e.inputs, outputs=e.outputs, runtime=e.runtime, memory=e.memory(), phases=e.phases(),
    same=first.ctypes.data == second.ctypes.data, contiguous=second.flags.c_contiguous)
e.close(); e.close()
""",
        layout, CANNSIM_RUN_MODE=mode,
    )  # fmt: skip
    want = exact(models, x)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), want, atol=0.01 * np.abs(want).max())
    assert said["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 3, 16, 16]}]
    assert said["outputs"] == [{"name": "y", "dtype": "float32", "shape": [1, 4, 16, 16]}]
    assert said["runtime"] == {"cann": "8.1.RC1" if layout == 8 else "9.1.0"}
    assert said["memory"]["device_bytes"] == sum(v for k, v in said["memory"].items() if k != "device_bytes")
    assert said["memory"]["buffer_bytes"] == 4 * 256 * (3 + 4)
    assert set(said["phases"]) == {"host_to_device", "execute", "device_to_host"}
    assert said["same"] and said["contiguous"]


def test_the_halves_of_the_library_do_without_the_whole(on_board, toolkit, tmp_path):
    for name in ("libacl_rt.so", "libacl_mdl.so"):
        (tmp_path / name).symlink_to(toolkit.prefix / "cann/lib64" / name)
    program = f"""
e = engine.open("small.om", {{"library": {str(tmp_path)!r}}})
say(n=len(e.run({{"x": np.zeros((1, 3, 16, 16), np.float32)}})))
e.close()
"""
    assert on_board(program, drop=("LD_LIBRARY_PATH", "ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")) == [{"n": 1}]


@pytest.mark.parametrize("mode", ["device", "host"])
def test_half_precision_ports_are_given_and_taken_as_float32(on_board, mode):
    program = """
x = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)
a, b = engine.open("half.om", {}), engine.open("small.om", {})
left, right = a.run({"x": x})["y"], b.run({"x": x})["y"]
say(ports=[a.inputs[0]["dtype"], a.outputs[0]["dtype"], str(left.dtype)], apart=float(np.abs(left - right).max()))
a.close(); b.close()
"""
    (said,) = on_board(program, CANNSIM_RUN_MODE=mode)
    assert said["ports"] == ["float32"] * 3
    assert said["apart"] < 0.02


def test_outputs_are_found_by_the_suffix_of_the_vendors_names_and_else_by_their_place(on_board):
    (said,) = on_board(
        """
def run(settings):
    e = engine.open("pair.om", settings)
    a, b = (np.full((1, 3), v, np.float32) for v in (5, 2))
    found = {k: v.tolist()[0][0] for k, v in e.run({e.inputs[0]["name"]: a, e.inputs[1]["name"]: b}).items()}
    e.close()
    return found
say(none=run({}), order=run({"outputs": ["total:0", "difference"]}), place=run({"outputs": ["minus_", "plus_"]}),
    part=run({"outputs": ["total:0"]}), swapped=run({"inputs": ["b", "a"]}), renamed=run({"inputs": ["p", "q"]}),
    strange=fails(lambda: run({"outputs": ["strange"]})), many=fails(lambda: run({"inputs": ["a", "b", "c"]})))
"""
    )
    assert said["none"] == said["order"] == {"difference": 3.0, "total:0": 7.0}
    assert list(said["order"]) == ["total:0", "difference"]
    assert said["place"] == {"minus_": 3.0, "plus_": 7.0}
    assert said["part"] == {"total:0": 7.0}
    assert said["swapped"] == said["renamed"] == said["none"]
    assert "strange" in said["strange"][0] and "minus:0:difference" in said["strange"][0]
    assert "a, b, c" in said["many"][0]


def test_pictures_go_in_as_bytes_where_aipp_is_compiled_in(on_board):
    (said,) = on_board(
        """
rgb, yuv = engine.open("rgb.om", {}), engine.open("yuv.om", {})
x = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
got = rgb.run({"x": x})["y"]
grey = np.full((1, 12, 8, 1), 128, np.uint8)
grey[:, :8] = np.arange(64).reshape(1, 8, 8, 1)
plane = yuv.run({"x": grey})["y"]
say(ports=[rgb.inputs[0], yuv.inputs[0]], swapped=bool((got == x[..., ::-1].transpose(0, 3, 1, 2)).all()),
    grey=bool((plane == np.arange(64).reshape(1, 1, 8, 8)).all()),
    floats=fails(lambda: rgb.run({"x": x.astype(np.float32)})), dynamic=fails(lambda: engine.open("dynamic.om", {})))
rgb.close(); yuv.close()
"""
    )
    assert said["ports"][0] == {"name": "x", "dtype": "uint8", "shape": [1, 8, 8, 3]}
    assert said["ports"][1] == {"name": "x", "dtype": "uint8", "shape": [1, 12, 8, 1]}
    assert said["swapped"] and said["grey"]
    assert said["floats"] == ["Input 'x' was fed float32 [1, 8, 8, 3].", "It takes uint8 [1, 8, 8, 3]."]
    assert "dynamic AIPP" in said["dynamic"][0] and "static" in said["dynamic"][1]


GEARS = {
    "batch": ([(1, 3, 16, 16), (4, 3, 16, 16), (2, 3, 16, 16)], [None, 3, 16, 16], (8, 3, 16, 16), "batch: 1; 2; 4"),
    "image": ([(1, 3, 16, 32), (1, 3, 16, 16)], [1, 3, None, None], (1, 3, 32, 16), "image: 16,16; 16,32"),
    "dims": ([(1, 3, 16, 16), (2, 3, 16, 24)], [None, 3, None, None], (2, 3, 16, 16), "1,3,16,16; 2,3,16,24"),
}


@pytest.mark.parametrize("mode", ["device", "host"])
@pytest.mark.parametrize("kind", GEARS)
def test_the_gear_follows_the_shapes_that_are_fed(on_board, models, tmp_path, kind, mode):
    shapes, port, wrong, told = GEARS[kind]
    random = np.random.default_rng(3)
    feeds = [random.normal(size=shape).astype("f4") for shape in shapes]
    np.savez(tmp_path / "x.npz", *feeds)
    (said,) = on_board(
        f"""
e = engine.open("{kind}.om", {{"outputs": ["y"]}})
feeds = np.load({str(tmp_path / "x.npz")!r})
np.savez({str(tmp_path / "y.npz")!r}, *[e.run({{"x": feeds[k]}})["y"].copy() for k in feeds.files])
say(port=e.inputs[0]["shape"], count=len(e.inputs), wrong=fails(lambda: e.run({{"x": np.zeros({wrong}, "f4")}})))
e.close()
""",
        CANNSIM_RUN_MODE=mode,
    )
    assert said["port"] == port and said["count"] == 1
    with np.load(tmp_path / "y.npz") as found:
        for name, feed in zip(found.files, feeds, strict=True):
            np.testing.assert_allclose(found[name], exact(models, feed), atol=0.05)
    assert "no gear" in said["wrong"][0] and told in said["wrong"][1]


def test_image_gears_of_a_camera_picture_count_the_pictures_rows_not_the_bytes(on_board):
    program = """
e = engine.open("yuv_image.om", {})
say(shapes=[e.run({"x": np.zeros((1, 24, w, 1), np.uint8)})["y"].shape for w in (32, 16)],
    wrong=fails(lambda: e.run({"x": np.zeros((1, 16, 16, 1), np.uint8)})))
e.close()
"""
    (said,) = on_board(program)
    assert said["shapes"] == [[1, 4, 16, 32], [1, 4, 16, 16]]
    assert "no gear" in said["wrong"][0]


def test_wrong_feeds_are_refused_and_the_engine_goes_on(on_board):
    (said,) = on_board(
        """
e = engine.open("small.om", {})
x = np.ones((1, 3, 16, 16), np.float32)
say(missing=fails(lambda: e.run({})), unknown=fails(lambda: e.run({"x": x, "z": x})),
    shape=fails(lambda: e.run({"x": x[:, :2]})), rank=fails(lambda: e.run({"x": x[0]})),
    words=fails(lambda: e.run({"x": x.astype(str)})))
strided = np.ones((1, 16, 16, 3)).transpose(0, 3, 1, 2)
say(same=bool((e.run({"x": x})["y"].copy() == e.run({"x": strided})["y"]).all()))
e.close()
say(closed=fails(lambda: e.run({"x": x})))
"""
    )[0:1]
    assert said["missing"] == ["Input 'x' is missing.", "Feed: x."]
    assert said["unknown"][0] == "The model has no input 'z'."
    assert said["shape"] == ["Input 'x' was fed float32 [1, 2, 16, 16].", "It takes float32 [1, 3, 16, 16]."]
    assert "[3, 16, 16]" in said["rank"][0] and "<U" in said["words"][0]
