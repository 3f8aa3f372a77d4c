"""split_head: the graph ends at its raw heads, and the task decodes the same boxes from them."""

from __future__ import annotations

from typing import Any

import detectors
import numpy as np
import pytest

from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.device import decoders
from edgewright.graph import parity
from edgewright.graph.step import StepResult, apply


def spec(kind: str, role: str = "output0") -> TaskSpec:
    return TaskSpec("detection", postprocess=(Step(kind, {"role": role}), Step("nms"), Step("unletterbox")))


def split(model: Any, task: TaskSpec, layout: str = "NCHW") -> StepResult:
    return apply(model, task, (Step("split_head", {"layout": layout}),))[-1]


def boxes(model: Any, task: TaskSpec, feeds: dict[str, Any], confidence: float) -> Any:
    """Boxes, scores and classes by the decoder that the device runs, best first."""
    step = task.postprocess[0]
    thresholds = {"confidence": confidence, "multi_label": 1.0}
    found = decoders.DECODERS[step.kind](parity.run(model, feeds), step.params, thresholds)
    order = np.lexsort((found.boxes[:, 0], found.classes, -found.scores.round(4)))
    return found.boxes[order], found.scores[order], found.classes[order]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("kind", ["yolov5_flat", "yolov8_flat"])
def test_split_heads_decode_to_the_boxes_of_the_whole_graph(kind: str, layout: str) -> None:
    model = detectors.yolov5() if kind == "yolov5_flat" else detectors.yolov8()
    result = split(model, spec(kind), layout)
    assert result.changed
    feeds = parity.random_feeds(model)
    before = boxes(model, spec(kind), feeds, 0.2)
    after = boxes(result.model, result.spec, feeds, 0.2)
    assert len(before[0]) > 10
    np.testing.assert_allclose(after[1], before[1], atol=1e-5)
    np.testing.assert_allclose(after[0], before[0], atol=1e-2)
    assert np.array_equal(after[2], before[2])


def test_strides_and_anchors_are_read_from_the_decode_itself() -> None:
    step = split(detectors.yolov5(), spec("yolov5_flat")).spec.postprocess[0]
    assert step.kind == "yolov5_heads"
    assert step.params["strides"] == [8, 16]
    assert step.params["anchors"] == [[[10.0, 13.0], [16.0, 30.0]], [[30.0, 61.0], [62.0, 45.0]]]
    assert step.params["roles"] == ["head_8", "head_16"]


def test_reg_max_and_strides_of_an_anchor_free_head_are_found() -> None:
    step = split(detectors.yolov8(), spec("yolov8_flat"), "NHWC").spec.postprocess[0]
    assert (step.kind, step.params["reg_max"], step.params["strides"]) == ("yolov8_heads", detectors.REG_MAX, [8, 16])


def test_an_export_with_raw_heads_as_further_outputs_keeps_only_the_cut_ones() -> None:
    result = split(detectors.yolov5(raw_outputs=True), spec("yolov5_flat"))
    assert [value.name for value in result.model.graph.output] == ["head_8", "head_16"]
    assert len(result.model.graph.node) < 10


def test_a_dynamic_batch_survives_the_split() -> None:
    result = split(detectors.yolov5(batch="batch"), spec("yolov5_flat"))
    assert result.changed
    assert result.model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    feeds = {"images": np.random.default_rng(0).random((3, 3, 64, 64), np.float32)}
    assert parity.run(result.model, feeds)["head_8"].shape == (3, 16, 8, 8)


def test_the_output_is_found_by_its_shape_when_the_role_names_none() -> None:
    assert split(detectors.yolov5(), spec("yolov5_flat", "predictions")).changed


def test_a_decode_of_another_kind_is_refused_with_the_reason() -> None:
    model = detectors.yolov5()
    for node in model.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "HardSigmoid"
    result = split(model, spec("yolov5_flat"))
    assert not result.changed
    assert "another way" in result.note
    assert result.model is model


def test_normalised_coordinates_are_not_taken_for_pixels() -> None:
    model = detectors.yolov5(normalised=True)
    result = split(model, spec("yolov5_flat"))
    feeds = parity.random_feeds(model)
    before, after = boxes(model, spec("yolov5_flat"), feeds, 0.2), boxes(result.model, result.spec, feeds, 0.2)
    np.testing.assert_allclose(after[0], before[0], atol=1e-4)


def test_an_undecoded_detector_is_left_alone() -> None:
    model = detectors.yolov5()
    result = split(model, TaskSpec("detection", postprocess=(Step("yolox", {"role": "output0"}),)))
    assert not result.changed and result.spec.postprocess[0].kind == "yolox"


def test_a_flat_output_without_convolutions_is_left_alone() -> None:
    from onnx import TensorProto, helper

    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 10, 8])
    out = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 10, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["output0"])], "flat", [port], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    assert not split(model, spec("yolov5_flat")).changed


@pytest.mark.shared
def test_a_real_yolov5n_is_split_with_its_published_anchors(shared_dir: Any, tmp_path: Any) -> None:
    import onnx

    from edgewright import sources
    from edgewright.core.model import ModelSpec

    member = sources.get("yolov5")
    loaded = member.load(ModelSpec(str(shared_dir / "models/yolov5n-coco/yolov5n.pt")))
    model = member.to_onnx(loaded, 17, tmp_path)["main"]
    result = split(onnx.load(model.path), spec("yolov5_flat"))
    params = result.spec.postprocess[0].params
    assert params["strides"] == [8, 16, 32]
    assert params["anchors"][2] == [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]]
