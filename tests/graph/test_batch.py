"""fix_batch and open_batch: samples do not mix, and a graph that pins its batch is not forced."""

from __future__ import annotations

from typing import Any

import detectors
import numpy as np
import pytest
from onnx import TensorProto, helper

from edgewright.core.errors import InputError
from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.batch import BATCH
from edgewright.graph.step import apply

TASK = TaskSpec("tensors")


@pytest.mark.parametrize("batch", [1, 4])
def test_a_dynamic_batch_is_fixed_for_inputs_and_outputs(batch: int) -> None:
    result = apply(detectors.yolov5(batch="n"), TASK, (Step("fix_batch", {"batch": batch}),))[-1]
    assert surgery.shape_of(result.model.graph.input[0])[0] == batch
    assert surgery.shape_of(result.model.graph.output[0])[0] == batch


def test_one_sample_becomes_four_with_the_answers_each_had_alone() -> None:
    model = detectors.yolov5(batch=1)
    result = apply(model, TASK, (Step("fix_batch", {"batch": 4}),))[-1]
    pixels = np.random.default_rng(3).random((4, 3, 64, 64), np.float32)
    together = parity.run(result.model, {"images": pixels})["output0"]
    alone = [parity.run(model, {"images": pixels[i : i + 1]})["output0"][0] for i in range(4)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-4, atol=1e-4)


def test_an_open_batch_carries_one_name_from_input_to_output() -> None:
    result = apply(detectors.yolov5(), TASK, (Step("open_batch"),))[-1]
    for value in (result.model.graph.input[0], result.model.graph.output[0]):
        assert value.type.tensor_type.shape.dim[0].dim_param == BATCH


def _mixing() -> Any:
    """Adds the mean over the batch: no sample is alone."""
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    nodes = [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]), helper.make_node("Add", ["x", "m"], ["y"])]
    graph = helper.make_graph(nodes, "mixing", [port], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_samples_that_mix_are_noticed() -> None:
    with pytest.raises(InputError, match="fix_batch"):
        apply(_mixing(), TASK, (Step("fix_batch", {"batch": 2}),))
    assert not apply(_mixing(), TASK, (Step("open_batch"),))[-1].changed


def test_a_graph_made_for_four_is_not_set_to_two() -> None:
    with pytest.raises(InputError, match="batch of 4"):
        apply(detectors.yolov5(batch=4), TASK, (Step("fix_batch", {"batch": 2}),))
