"""AIPP against a numpy reference: every input format, every documented colour matrix, crop, padding, scaling."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow

MATRICES = {
    "jpeg to RGB": ((256, 0, 359, 256, -88, -183, 256, 454, 0), (0, 128, 128)),
    "BT.601 narrow to RGB": ((298, 0, 409, 298, -100, -208, 298, 516, 0), (16, 128, 128)),
    "BT.709 narrow to RGB": ((298, 0, 459, 298, -55, -136, 298, 541, 0), (16, 128, 128)),
    "jpeg to BGR": ((256, 454, 0, 256, -88, -183, 256, 0, 359), (0, 128, 128)),
}
GRAY = ((76, 150, 30, 0, 0, 0, 0, 0, 0), (0, 0, 0))
SIZE = {"YUV420SP_U8": 1.5, "XRGB8888_U8": 4, "RGB888_U8": 3, "YUV400_U8": 1}


def unpack(raw: np.ndarray, fmt: str, h: int, w: int, rbuv: bool, ax: bool) -> np.ndarray:
    """h, w, channels as integers, after the channel swaps."""
    if fmt == "YUV420SP_U8":
        chroma = raw[h * w :].reshape(h // 2, w // 2, 2).repeat(2, 0).repeat(2, 1)
        chroma = chroma[..., ::-1] if rbuv else chroma
        return np.concatenate([raw[: h * w].reshape(h, w, 1), chroma], 2).astype(np.int64)
    pixels = raw.reshape(h, w, -1).astype(np.int64)
    if fmt == "XRGB8888_U8" and ax:
        pixels = np.roll(pixels, -1, 2)
    if rbuv:
        pixels = pixels.copy()
        pixels[..., [0, 2]] = pixels[..., [2, 0]]
    return pixels


def reference(raw, fmt, h, w, *, rbuv=False, ax=False, crop=None, matrix=None, bias=(0, 0, 0), mean=(0,) * 4,
              low=(0.0,) * 4, var=(1.0,) * 4, pad=None, pad_value=0.0, channels=3):  # fmt: skip
    """The documented order and formulas, written independently of the stand-in's."""
    pixels = unpack(raw, fmt, h, w, rbuv, ax)
    if crop:
        x, y, cw, ch = crop
        pixels = pixels[y : y + ch, x : x + cw]
    if matrix:
        yuv = fmt == "YUV420SP_U8"
        table = np.array(matrix, np.int64).reshape(3, 3)
        offset = np.array(bias, np.int64)
        sums = (pixels[..., :3] - (offset if yuv else 0)) @ table.T
        pixels = np.clip((sums >> 8) + (0 if yuv else offset), 0, 255)
    pixels = pixels[..., :channels].astype(np.float32)
    half = [np.array(v[:channels]).astype(np.float16).astype(np.float32) for v in (low, var)]
    planes = (pixels - np.array(mean[:channels], np.float32) - half[0]) * half[1]
    planes = planes.astype(np.float16).astype(np.float32).transpose(2, 0, 1)
    if pad:
        left, right, top, bottom = pad
        planes = np.pad(planes, ((0, 0), (top, bottom), (left, right)), constant_values=pad_value)
    return planes


def config(fmt: str, **fields) -> str:
    lines = ["aipp_op {", "aipp_mode: static", f"input_format: {fmt}"]
    return "\n".join([*lines, *(f"{name}: {str(value).lower()}" for name, value in fields.items()), "}"])


def colour(matrix, bias, which: str) -> dict:
    cells = {f"matrix_r{r}c{c}": matrix[r * 3 + c] for r in range(3) for c in range(3)}
    return {"csc_switch": True, **cells, **{f"{which}_bias_{i}": bias[i] for i in range(3)}}


CASES = [
    ("YUV420SP_U8", {}, {}),
    ("YUV420SP_U8", {"rbuv_swap_switch": True}, {"rbuv": True}),
    *(("YUV420SP_U8", colour(m, b, "input"), {"matrix": m, "bias": b}) for m, b in MATRICES.values()),
    ("RGB888_U8", {}, {}),
    ("RGB888_U8", {"rbuv_swap_switch": True}, {"rbuv": True}),
    ("RGB888_U8", colour(*GRAY, "output"), {"matrix": GRAY[0], "bias": GRAY[1], "channels": 1}),
    ("XRGB8888_U8", {"ax_swap_switch": True}, {"ax": True}),
    ("XRGB8888_U8", {"ax_swap_switch": True, "rbuv_swap_switch": True}, {"ax": True, "rbuv": True}),
    ("XRGB8888_U8", {}, {"channels": 4}),
    ("YUV400_U8", {}, {"channels": 1}),
]


@pytest.mark.parametrize(("fmt", "fields", "wanted"), CASES)
def test_aipp_gives_what_the_formula_gives(atc, run_om, identity_model, tmp_path, fmt, fields, wanted):
    channels = wanted.get("channels", 3)
    scale = {f"mean_chn_{i}": (3, 5, 7, 9)[i] for i in range(channels)}
    scale |= {f"min_chn_{i}": 0.3 + i for i in range(channels)}
    scale |= {f"var_reci_chn_{i}": 1 / (50.0 + i) for i in range(channels)}
    (tmp_path / "aipp.cfg").write_text(config(fmt, **fields, **scale))
    model = identity_model(tmp_path / "m.onnx", (2, channels, 10, 14))
    done = atc(model, "m", "--insert_op_conf=aipp.cfg")
    assert done.returncode == 0, done.stdout
    raw = np.random.default_rng(3).integers(0, 256, (2, int(10 * 14 * SIZE[fmt])), np.uint8)
    got = run_om(tmp_path / "m.om", raw.tobytes()).reshape(2, channels, 10, 14)
    extra = {"mean": (3, 5, 7, 9), "low": [0.3 + i for i in range(4)], "var": [1 / (50.0 + i) for i in range(4)]}
    for at in range(2):
        np.testing.assert_array_equal(
            got[at], reference(raw[at], fmt, 10, 14, **{**wanted, **extra, "channels": channels})
        )


def test_crop_then_padding(atc, run_om, identity_model, tmp_path):
    fields = {
        "src_image_size_w": 20, "src_image_size_h": 12, "crop": True, "load_start_pos_w": 4, "load_start_pos_h": 2,
        "crop_size_w": 8, "crop_size_h": 6, "padding": True, "left_padding_size": 1, "right_padding_size": 3,
        "top_padding_size": 2, "bottom_padding_size": 0, "padding_value": 7.5,
    }  # fmt: skip
    (tmp_path / "aipp.cfg").write_text(config("YUV420SP_U8", **fields))
    model = identity_model(tmp_path / "m.onnx", (1, 3, 8, 12))
    done = atc(model, "m", "--insert_op_conf=aipp.cfg")
    assert done.returncode == 0, done.stdout
    raw = np.random.default_rng(4).integers(0, 256, 20 * 12 * 3 // 2, np.uint8)
    got = run_om(tmp_path / "m.om", raw.tobytes()).reshape(3, 8, 12)
    wanted = reference(raw, "YUV420SP_U8", 12, 20, crop=(4, 2, 8, 6), pad=(1, 3, 2, 0), pad_value=7.5)
    np.testing.assert_array_equal(got, wanted)


def test_dynamic_aipp_by_the_c_program_gives_the_same(toolkit, atc, identity_model, tmp_path):
    model = identity_model(tmp_path / "id.onnx")
    (tmp_path / "rgb.cfg").write_text(config("RGB888_U8", rbuv_swap_switch=True))
    (tmp_path / "yuv.cfg").write_text(config("YUV420SP_U8"))
    (tmp_path / "dyn.cfg").write_text("aipp_op { aipp_mode: dynamic max_src_image_size: 1200 }")
    for name in ("rgb", "yuv", "dyn"):
        assert atc(model, name, f"--insert_op_conf={name}.cfg").returncode == 0
    raw = np.random.default_rng(5).integers(0, 256, 20 * 10 * 3, np.uint8)
    (tmp_path / "p.rgb").write_bytes(raw.tobytes())
    program = toolkit.build("aipp", tmp_path / "aipp")
    done = toolkit.run(program, "rgb.om", "yuv.om", "dyn.om", "p.rgb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    got = np.array(done.stdout.split()[:-1], np.float32).reshape(3, 8, 8)
    wanted = reference(
        raw, "RGB888_U8", 10, 20, rbuv=True, crop=(2, 1, 6, 5), mean=(10, 20, 30, 0), var=(0.5, 0.25, 0.125, 1),
        pad=(1, 1, 1, 2),
    )  # fmt: skip
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("aipp_op { aipp_mode: static }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 resize: true }", "E10052"),
        ("aipp_op { aipp_mode: dynamic }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 crop: true }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 src_image_size_w: 20 src_image_size_h: 20 }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: YUV400_U8 }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 no_such_field: 1 }", "E19018"),
        ("aipp_op { aipp_mode static", "E19018"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 related_input_rank: 3 }", "E10052"),
        ("aipp_op { aipp_mode: static input_format: RGB888_U8 mean_chn_0: 300 }", "E10052"),
    ],
)
def test_a_wrong_aipp_configuration_is_refused(atc, identity_model, tmp_path, text, code):
    (tmp_path / "aipp.cfg").write_text(text)
    done = atc(identity_model(tmp_path / "m.onnx"), "m", "--insert_op_conf=aipp.cfg")
    assert done.returncode == 255
    assert f"{code}: " in done.stdout
    assert not (tmp_path / "m.om").exists()
