"""The AIPP configuration computes what the task's own steps compute; on the stand-in, for real pixels."""

# ruff: noqa: F811 (fixtures are imported by name)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from om import app, models, on_board  # noqa: F401

from edgewright.core.errors import ConfigError
from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.device.steps import Preprocess
from edgewright.targets.cann import aipp

SHAPE = (1, 3, 16, 24)
SCALE = Step("scale", {"factor": 1 / 255})
PLANES = Step("layout", {"to": "NCHW"})


def spec(*steps: Step) -> TaskSpec:
    return TaskSpec("detection", preprocess=(Step("letterbox", {"size": [16, 24]}), *steps))


def fields(config: str) -> dict[str, str]:
    return dict(line.strip().split(": ") for line in config.splitlines()[1:-1])


def test_scale_goes_to_the_unit_and_the_letterbox_stays():
    unit = aipp.take_over(spec(Step("colour", {"order": "rgb"}), SCALE, PLANES), SHAPE)
    assert unit is not None
    found = fields(unit.config)
    assert found["input_format"] == "RGB888_U8" and found["rbuv_swap_switch"] == "false"
    assert np.float16(found["var_reci_chn_0"]) == np.float16(1 / 255) and found["min_chn_0"] == "0.0"
    assert [step.kind for step in unit.spec.preprocess] == ["letterbox", "layout"]
    assert unit.shape == (1, 16, 24, 3)


def test_mean_and_std_become_min_and_var_reci():
    normal = Step("normalise", {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]})
    unit = aipp.take_over(spec(SCALE, normal, PLANES), SHAPE)
    assert unit is not None
    found = fields(unit.config)
    assert float(found["min_chn_1"]) == pytest.approx(0.4 * 255, rel=1e-3)
    assert float(found["var_reci_chn_2"]) == pytest.approx(1 / 255 / 0.3, rel=1e-3)
    assert found["mean_chn_0"] == "0"


def test_blue_first_is_a_swap_and_for_video_the_rows_of_the_matrix():
    bgr = spec(Step("colour", {"order": "bgr"}), PLANES)
    rgb = aipp.take_over(bgr, SHAPE)
    video = aipp.take_over(bgr, SHAPE, "yuv420sp")
    assert rgb is not None and video is not None
    assert fields(rgb.config)["rbuv_swap_switch"] == "true" and "var_reci_chn_0" not in fields(rgb.config)
    assert fields(video.config)["matrix_r0c1"] == "454" and video.shape == (1, 24, 24, 1)
    assert video.spec.preprocess[-1].kind == "nv12"


def test_what_the_unit_cannot_do_is_left_to_the_task():
    assert aipp.take_over(spec(SCALE), SHAPE) is None  # no layout step: not an image at the network's door
    assert aipp.take_over(spec(Step("colour", {"order": "gray"}), SCALE, PLANES), (1, 1, 16, 24)) is None
    with pytest.raises(ConfigError, match="even"):
        aipp.take_over(spec(SCALE, PLANES), (1, 3, 15, 24), "yuv420sp")
    with pytest.raises(ConfigError, match="nv21"):
        aipp.take_over(spec(SCALE, PLANES), SHAPE, "nv21")


@given(st.floats(1e-4, 1e3), st.floats(-1e3, 1e3))
def test_numbers_are_written_without_an_exponent_and_read_back_the_same(gain, low):
    for value in (np.float16(gain), np.float16(low)):
        text = aipp._number(value)
        assert "e" not in text and np.float16(text) == value


@pytest.mark.parametrize("source", ["rgb", "yuv420sp"])
def test_the_unit_and_the_steps_give_the_network_the_same_picture(source, toolkit, models, app, tmp_path, on_board):
    """An .om that hands its input on, with the configuration compiled in, against the task's own steps."""
    steps = (Step("colour", {"order": "bgr"}), SCALE, Step("normalise", {"mean": [0.4] * 3, "std": [0.3] * 3}), PLANES)
    unit = aipp.take_over(TaskSpec("detection", preprocess=steps), (1, 3, 8, 8), source)
    assert unit is not None
    (tmp_path / "aipp.cfg").write_text(unit.config)
    done = toolkit.run(
        "atc", f"--model={models / 'identity.onnx'}", "--framework=5", "--output=picture", "--soc_version=Ascend310B4",
        "--insert_op_conf=aipp.cfg", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    smooth = np.linspace(20, 220, 8).astype(np.uint8)
    picture = np.stack([np.tile(smooth, (8, 1)), np.tile(smooth[:, None], (1, 8)), np.full((8, 8), 90, np.uint8)], -1)
    wanted, _ = Preprocess([step.to_json() for step in steps])(picture)
    handed, _ = Preprocess([step.to_json() for step in unit.spec.preprocess])(picture)
    assert handed.dtype == np.uint8 and handed.shape == unit.shape
    np.save(tmp_path / "handed.npy", handed)
    on_board(
        f"one = engine.open({str(tmp_path / 'picture.om')!r}, {{'outputs': ['y'], 'inputs': ['x']}})\n"
        f"np.save({str(tmp_path / 'seen.npy')!r}, one.run({{'x': np.load({str(tmp_path / 'handed.npy')!r})}})['y'])\n"
        "one.close()\n"
    )
    # One grey level is 1/255/0.3 = 0.013. RGB is exact to fp16; NV12 halves the colour's resolution, and its conversion
    # back saturates: 25 levels at the edges of this picture.
    np.testing.assert_allclose(np.load(tmp_path / "seen.npy"), wanted, atol=0.005 if source == "rgb" else 0.33)
