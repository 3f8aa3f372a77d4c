"""set_opset: graphs said in an older operator set answer as before, or are refused by the operator's name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.errors import InputError
from edgewright.core.task import TaskSpec
from edgewright.graph import parity, surgery
from edgewright.graph.steps import set_opset

TASK = TaskSpec("tensors")


def graph(nodes, shape, constants=(), opset=17):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(value, name) for name, value in constants]
    made = helper.make_graph(nodes, "g", [x], [y], stored)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def said_in(model, version, **more):
    result = set_opset.apply(model, TASK, {"version": version, **more})
    onnx.checker.check_model(result.model)
    feeds = parity.random_feeds(model, seed=3)
    np.testing.assert_allclose(parity.run(result.model, feeds)["y"], parity.run(model, feeds)["y"], atol=1e-5)
    return result


def test_axes_and_split_sizes_become_attributes():
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Unsqueeze", ["b", "one"], ["c"]),
        helper.make_node("Squeeze", ["c", "one"], ["d"]),
        helper.make_node("ReduceSum", ["d", "one"], ["e"], keepdims=1),
        helper.make_node("Mul", ["a", "e"], ["y"]),
    ]
    constants = [("sizes", np.array([1, 3])), ("one", np.array([1]))]
    result = said_in(graph(nodes, [2, 4, 5], constants), 11)
    assert surgery.opset(result.model) == 11 and result.model.ir_version == 6
    assert "Split" in result.note


def test_layer_norm_softmax_and_hard_swish_are_written_out():
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["n"], axis=-1, epsilon=1e-5),
        helper.make_node("HardSwish", ["n"], ["h"]),
        helper.make_node("Softmax", ["h"], ["y"], axis=-1),
    ]
    random = np.random.default_rng(0)
    constants = [(name, random.random(6).astype(np.float32)) for name in ("scale", "shift")]
    result = said_in(graph(nodes, [2, 3, 6], constants), 11)
    assert not {"LayerNormalization", "HardSwish"} & {node.op_type for node in result.model.graph.node}


def test_a_resize_without_roi_gets_an_empty_one():
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest", name="up")]
    result = said_in(graph(nodes, [1, 2, 4, 4], [("scales", np.array([1, 1, 2, 2], np.float32))]), 11)
    assert all(result.model.graph.node[0].input)


def test_what_only_a_newer_set_has_is_refused_by_name():
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=1, name="middle")]
    with pytest.raises(InputError, match="middle"):
        set_opset.apply(graph(nodes, [2, 3, 4]), TASK, {"version": 11})


def test_the_nearest_newer_set_is_taken_where_it_is_allowed():
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=1)]
    result = said_in(graph(nodes, [2, 3, 4]), 11, at_most=13)
    assert surgery.opset(result.model) == 13


def test_a_graph_of_that_set_is_left_alone():
    model = graph([helper.make_node("Relu", ["x"], ["y"])], [1, 2], opset=11)
    assert not set_opset.apply(model, TASK, {"version": 11}).changed
