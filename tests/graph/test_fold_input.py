"""fold_input: pixels in, the same answers out, whatever the task did to them before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.device.steps import Preprocess
from edgewright.graph import parity, surgery
from edgewright.graph.step import StepResult, apply


def network(padding: int = 1, first: str = "Conv", layout: str = "NCHW") -> Any:
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32), "w")
    bias = numpy_helper.from_array(random.normal(0, 1, 4).astype(np.float32), "b")
    shape = [1, 3, 16, 16] if layout == "NCHW" else [1, 16, 16, 3]
    entering, nodes = "images", []
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [entering], ["planes"], perm=[0, 3, 1, 2]))
        entering = "planes"
    if first != "Conv":
        nodes.append(helper.make_node(first, [entering], ["before"]))
        entering = "before"
    nodes.append(helper.make_node("Conv", [entering, "w", "b"], ["y"], pads=[padding] * 4))
    side = 14 + 2 * padding
    ports = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, side, side]),
    ]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], [weight, bias])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def fold(model: Any, *steps: Step) -> StepResult:
    task = TaskSpec("detection", preprocess=(Step("letterbox", {"size": [16, 16]}), *steps))
    return apply(model, task, (Step("fold_input"),))[-1]


def answers_agree(model: Any, result: StepResult, steps: tuple[Step, ...], seed: int = 0) -> None:
    """The task's own pre-processing on the old graph against what is left of it on the new one."""
    picture = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    box = Step("letterbox", {"size": [16, 16]})
    before, _ = Preprocess([step.to_json() for step in (box, *steps)])(picture)
    after, _ = Preprocess([step.to_json() for step in result.spec.preprocess])(picture)
    assert after.dtype == np.uint8 and after.shape == (1, 16, 16, 3)
    old, new = parity.run(model, {"images": before}), parity.run(result.model, {"images": after})
    np.testing.assert_allclose(new["y"], old["y"], atol=1e-4 * max(1.0, np.abs(old["y"]).max()))


SCALE, NCHW = Step("scale", {"factor": 1 / 255}), Step("layout", {"to": "NCHW"})
MEAN = Step("normalise", {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]})
BGR = Step("colour", {"order": "bgr"})


@pytest.mark.parametrize(
    "steps",
    [(SCALE, NCHW), (BGR, SCALE, NCHW), (BGR, Step("cast", {"dtype": "float32"}), NCHW), (BGR, SCALE, MEAN, NCHW)],
)
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("first", ["Conv", "Relu"])
def test_folded_input_gives_the_same_answers(steps: tuple[Step, ...], padding: int, first: str) -> None:
    model = network(padding, first)
    result = fold(model, *steps)
    assert result.changed
    answers_agree(model, result, steps)


def test_a_graph_that_takes_nhwc_is_folded_too() -> None:
    model, steps = network(layout="NHWC"), (SCALE, Step("layout", {"to": "NHWC"}))
    answers_agree(model, fold(model, *steps), steps)


def test_scale_and_colour_leave_no_node_behind_a_convolution() -> None:
    result = fold(network(), BGR, SCALE, NCHW)
    assert [node.op_type for node in result.model.graph.node] == ["Transpose", "Cast", "Conv"]


def test_a_mean_before_a_padded_convolution_stays_as_one_add() -> None:
    result = fold(network(padding=1), SCALE, MEAN, NCHW)
    assert [node.op_type for node in result.model.graph.node] == ["Transpose", "Cast", "Add", "Conv"]


def test_a_mean_before_an_unpadded_convolution_goes_into_its_bias() -> None:
    result = fold(network(padding=0), SCALE, MEAN, NCHW)
    assert [node.op_type for node in result.model.graph.node] == ["Transpose", "Cast", "Conv"]


def test_gray_is_rounded_luma_and_stays_outside() -> None:
    result = fold(network(), Step("colour", {"order": "gray"}), SCALE, NCHW)
    assert not result.changed or [step.kind for step in result.spec.preprocess][:2] == ["letterbox", "colour"]


def test_a_graph_that_takes_integers_is_left_alone() -> None:
    model = network()
    surgery.inputs(model)[0].type.tensor_type.elem_type = TensorProto.UINT8
    assert not fold(model, NCHW).changed


@settings(max_examples=12, deadline=None)
@given(
    mean=st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    std=st.lists(st.floats(0.1, 2), min_size=3, max_size=3),
    bgr=st.booleans(),
    padding=st.integers(0, 2),
)
def test_any_mean_and_spread_fold_exactly(mean: list[float], std: list[float], bgr: bool, padding: int) -> None:
    steps = ((BGR,) if bgr else ()) + (SCALE, Step("normalise", {"mean": mean, "std": std}), NCHW)
    model = network(padding)
    answers_agree(model, fold(model, *steps), steps)
