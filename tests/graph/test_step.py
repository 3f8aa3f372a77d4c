"""The registry of steps, and the two that only make a graph smaller."""

from __future__ import annotations

import detectors
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.errors import ConfigError, InputError
from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph import parity
from edgewright.graph.step import apply, get, kinds

TASK = TaskSpec("tensors")


def test_every_file_of_the_folder_is_a_step() -> None:
    assert {"simplify", "fold_batchnorm", "fold_input", "split_head", "fix_batch", "open_batch"} <= set(kinds())
    assert all(callable(get(kind)) for kind in kinds())


def test_an_unknown_step_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="split_head"):
        get("split_heads")


def test_simplify_removes_nodes_and_keeps_answers() -> None:
    model = detectors.yolov8()
    result = apply(model, TASK, (Step("simplify"),))[-1]
    feeds = parity.random_feeds(model)
    assert len(result.model.graph.node) <= len(model.graph.node)
    assert parity.difference(parity.run(model, feeds), parity.run(result.model, feeds)) < 1e-5


def _with_batch_norm(shared: bool = False) -> object:
    random = np.random.default_rng(0)
    stored = {
        "w": random.normal(0, 1, (4, 3, 3, 3)),
        "g": random.uniform(0.5, 2, 4),
        "b": random.normal(0, 1, 4),
        "m": random.normal(0, 1, 4),
        "v": random.uniform(0.5, 2, 4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], epsilon=1e-3),
        helper.make_node("Add", ["n", "c"] if shared else ["n", "n"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    ports.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6]))
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "norm", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_a_batch_norm_goes_into_its_convolution() -> None:
    model = _with_batch_norm()
    result = apply(model, TASK, (Step("fold_batchnorm"),))[-1]
    assert [node.op_type for node in result.model.graph.node] == ["Conv", "Add"]
    feeds = parity.random_feeds(model)
    assert parity.difference(parity.run(model, feeds), parity.run(result.model, feeds)) < 1e-5


def test_a_batch_norm_whose_convolution_is_read_elsewhere_stays() -> None:
    assert not apply(_with_batch_norm(shared=True), TASK, (Step("fold_batchnorm"),))[-1].changed


def test_a_step_never_changes_the_graph_it_was_given() -> None:
    model = detectors.yolov5()
    before = model.SerializeToString()
    task = TaskSpec("detection", postprocess=(Step("yolov5_flat", {"role": "output0"}),))
    apply(model, task, (Step("simplify"), Step("split_head", {"layout": "NHWC"}), Step("open_batch")))
    assert model.SerializeToString() == before


def test_a_graph_that_does_not_run_is_an_input_error() -> None:
    model = detectors.yolov5()
    feeds = {"images": np.zeros((1, 3, 32, 32), np.float32)}
    with pytest.raises(InputError, match="ONNX Runtime"):
        parity.run(model, feeds)


def test_answers_that_differ_in_shape_or_in_what_is_a_number_are_infinitely_far() -> None:
    one = {"y": np.ones((2, 2), np.float32)}
    assert parity.difference(one, {"y": np.ones((2, 3), np.float32)}) == float("inf")
    assert parity.difference(one, {"y": np.full((2, 2), np.nan, np.float32)}) == float("inf")
    assert parity.difference(one, one) == 0
