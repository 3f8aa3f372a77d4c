"""The pre-check: what would stop or change a conversion is said before any vendor's tool runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.profile import Finding
from edgewright.targets.cann.precheck import precheck

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def graph_of(
    *nodes: onnx.NodeProto, shape: tuple[Any, ...] = (1, 3, 8, 8), kind: int = FLOAT, out: int = FLOAT, opset: int = 11,
    constants: dict[str, np.ndarray] | None = None, name: str = "x", imports: tuple[tuple[str, int], ...] = (),
) -> onnx.ModelProto:  # fmt: skip
    """Nodes between the input `name` and the output "y"."""
    ports = [helper.make_tensor_value_info(name, kind, shape), helper.make_tensor_value_info("y", out, None)]
    stored = [numpy_helper.from_array(value, key) for key, value in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "g", ports[:1], ports[1:], stored)
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*entry) for entry in imports)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8)


def relu(source: str = "x", result: str = "y") -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [result], f"relu_{result}")


def look(model: onnx.ModelProto, chip: str = "Ascend310B4", cann: str = "8.1.RC1", **more: bool) -> list[Finding]:
    found = precheck(model, soc_version=chip, cann=cann, **more)
    assert all(one.title and one.detail.endswith((".", ")")) for one in found)
    assert all(one.remedy for one in found if one.severity != "info")
    return list(found)


def kinds(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.rule, one.severity) for one in found}


def test_a_plain_network_has_nothing_to_tell() -> None:
    assert look(graph_of(relu())) == []


def test_a_real_detector_with_raw_outputs_is_clean(shared_dir: Path) -> None:
    model = onnx.load(shared_dir / "models/yolox-nano/yolox_nano.onnx")
    assert not [one for one in look(model, quantised=True) if one.severity == "error"]


def test_suppression_in_the_graph_stops_a_310b_and_warns_elsewhere() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "s1"], ["boxes"]), helper.make_node("Reshape", ["x", "s2"], ["scores"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["y"], "nms"),
    ]  # fmt: skip
    constants = {"s1": np.array([1, -1, 4], np.int64), "s2": np.array([1, 4, -1], np.int64)}
    model = graph_of(*nodes, out=INT64, constants=constants)
    first = look(model)[0]
    assert first.severity == "error" and first.evidence[0] == {"node": "nms"} and "split-head" in first.argues_for
    assert "error" not in {one.severity for one in look(model, "Ascend310P3")}


def test_results_whose_size_depends_on_values_stop_a_310b() -> None:
    model = graph_of(helper.make_node("NonZero", ["x"], ["y"]), out=INT64)
    assert ("cann-operator", "error") in kinds(look(model))
    assert ("cann-operator", "warning") in kinds(look(model, "Ascend910B3"))


@pytest.mark.parametrize("op", ["Loop", "SequenceConstruct", "StringNormalizer"])
def test_control_flow_sequences_and_text_stop_everywhere(op: str) -> None:
    model = graph_of(helper.make_node(op, ["x"], ["y"]))
    assert ("cann-operator", "error") in kinds(look(model, "Ascend910B3"))


def test_operators_of_a_foreign_domain_stop() -> None:
    model = graph_of(helper.make_node("Twirl", ["x"], ["y"], domain="my.ops"), imports=(("my.ops", 1),))
    found = look(model)
    assert found[0].severity == "error" and "my.ops::Twirl" in found[0].detail


@pytest.mark.parametrize(
    ("opset", "cann", "quantised", "expected"),
    [
        (11, "5.1.RC2", False, set()), (13, "5.1.RC2", False, {"error"}), (13, "8.1.RC1", False, set()),
        (17, "8.1.RC1", False, {"warning"}), (18, "9.1.0", False, set()), (19, "9.1.0", False, {"error"}),
        (9, "9.1.0", False, {"error"}), (13, "8.0.RC3", True, {"error"}), (13, "7.0.0", True, {"error"}),
        (13, "8.1.RC1", True, {"warning"}), (13, "9.1.0", True, {"warning"}), (13, "", True, {"warning"}),
        (11, "8.1.RC1", True, set()), (17, "", False, {"warning"}),
    ],
)  # fmt: skip
def test_the_operator_set_is_held_against_the_version(opset: int, cann: str, quantised: bool, expected: set) -> None:
    found = [one for one in look(graph_of(relu(), opset=opset), cann=cann, quantised=quantised) if "opset" in one.rule]
    assert {one.severity for one in found} == expected


def test_several_operator_sets_of_one_domain_stop() -> None:
    assert ("cann-domains", "error") in kinds(look(graph_of(relu(), imports=(("ai.onnx", 13),))))
    assert ("cann-domains", "warning") in kinds(look(graph_of(relu(), imports=(("ai.onnx.ml", 2),))))


def test_own_quantisation_goes_to_amct_convert_and_never_to_plain_atc() -> None:
    constants = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    model = graph_of(*nodes, constants=constants, opset=13)
    assert ("cann-quantised", "error") in kinds(look(model))
    taken = look(model, quantised=True)
    assert kinds(taken) == {("cann-quantised", "info")} and "amct_onnx convert" in taken[0].detail


def test_int8_of_another_runtime_is_nothing_amct_could_take() -> None:
    model = graph_of(helper.make_node("MatMulInteger", ["x", "x"], ["y"]), out=TensorProto.INT32)
    assert ("cann-quantised", "error") in kinds(look(model, quantised=True))


def test_operators_inside_a_branch_are_found() -> None:
    result = helper.make_tensor_value_info("in", INT64, None)
    inner = helper.make_graph([helper.make_node("NonZero", ["x"], ["in"], "inside")], "b", [], [result])
    model = graph_of(
        helper.make_node("If", ["c"], ["y"], "if", then_branch=inner, else_branch=inner),
        out=INT64, constants={"c": np.array(True)},
    )  # fmt: skip
    found = look(model)
    assert found[0].severity == "error" and {"node": "inside"} in found[0].evidence
    assert "A branch in the graph" in {one.title for one in found}


def test_constants_beyond_fp16_are_told() -> None:
    model = graph_of(helper.make_node("Add", ["x", "mask"], ["y"]), constants={"mask": np.array([-1e9], np.float32)})
    (finding,) = look(model)
    assert finding.rule == "cann-fp16-range" and finding.argues_for == ("fp16-mixed",)


def test_five_dimensions_argue_for_raw_heads() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["five"], "to5"),
        helper.make_node("Transpose", ["five"], ["y"], "turn", perm=[0, 1, 3, 4, 2]),
    ]
    found = look(graph_of(*nodes, constants={"s": np.array([1, 3, 1, 8, 8], np.int64)}))
    five = next(one for one in found if one.rule == "cann-5d")
    assert five.argues_for == ("split-head",) and {"node": "turn"} in five.evidence and five.severity == "warning"


def test_int64_constants_are_harmless_and_computing_is_told() -> None:
    shape = {"s": np.array([1, -1], np.int64)}
    assert look(graph_of(helper.make_node("Reshape", ["x", "s"], ["y"]), constants=shape)) == []
    model = graph_of(helper.make_node("ArgMax", ["x"], ["y"], axis=1), out=INT64)
    assert kinds(look(model)) == {("cann-int64", "info")}


def test_int64_that_does_not_fit_and_int64_inputs_are_warned_of() -> None:
    big = {"b": np.array([1 << 40], np.int64)}
    model = graph_of(helper.make_node("Add", ["x", "b"], ["y"]), kind=INT64, out=INT64, constants=big)
    titles = {one.title for one in look(model)}
    assert {"INT64 constants that overflow", "INT64 inputs", "INT64 arithmetic"} <= titles


def test_the_open_end_of_a_slice_is_not_an_overflow() -> None:
    ends = {"from": np.array([1], np.int64), "to": np.array([(1 << 63) - 1], np.int64), "axis": np.array([1], np.int64)}
    model = graph_of(helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"]), constants=ends)
    assert look(model) == []


def test_free_axes_are_named_with_their_input() -> None:
    (finding,) = look(graph_of(relu(), shape=("n", 3, 8, 8)))
    assert finding.rule == "cann-free-axes" and "x (?×3×8×8)" in finding.detail


def test_doubles_rare_resizes_and_topk_are_warned_of() -> None:
    double = graph_of(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE), out=TensorProto.DOUBLE)
    assert ("cann-double", "warning") in kinds(look(double))
    constants = {"r": np.zeros(0, np.float32), "f": np.array([1, 1, 2, 2], np.float32), "k": np.array([2], np.int64)}
    cubic = graph_of(helper.make_node("Resize", ["x", "r", "f"], ["y"], mode="cubic"), constants=constants)
    assert ("cann-resize", "warning") in kinds(look(cubic))
    linear = graph_of(helper.make_node("Resize", ["x", "r", "f"], ["y"], mode="linear"), constants=constants)
    assert look(linear) == []
    topk = graph_of(helper.make_node("TopK", ["x", "k"], ["y", "at"]), constants=constants)
    assert ("cann-operator", "warning") in kinds(look(topk))


def test_names_that_no_option_can_carry_stop_and_long_ones_are_told() -> None:
    assert ("cann-names", "error") in kinds(look(graph_of(relu("a;b"), name="a;b")))
    assert kinds(look(graph_of(relu("x" * 200), name="x" * 200))) == {("cann-names", "info")}


def test_errors_come_first_and_hostile_names_are_cut() -> None:
    name = "n\x1b[2J" + "a" * 5000
    node = helper.make_node("NonZero", ["x"], ["y"], name)
    found = look(graph_of(node, shape=("n", 3), out=INT64))
    assert [one.severity for one in found] == sorted(
        (one.severity for one in found), key=["error", "warning", "info"].index
    )
    shown = str(found[0].evidence[0]["node"])
    assert shown.isprintable() and len(shown) <= 80
