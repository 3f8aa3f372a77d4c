"""fusion_result.json into findings: which passes took effect, which matched in vain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.targets.cann import fusion

ONE = {
    "session_and_graph_id_0_0": {
        "graph_fusion": {
            "ConvBatchnormFusionPass": {"match_times": "3", "effect_times": "3"},
            "SoftmaxFusionPass": {"match_times": "2", "effect_times": "0"},
            "NeverFusionPass": {"match_times": "0", "effect_times": "0"},
        },
        "ub_fusion": {"TbeConv2DElemwise": {"match_times": "9", "repository_hit_times": "0", "effect_times": "7"}},
    }
}


def test_passes_with_and_without_effect_are_told_apart() -> None:
    effective, idle = fusion.read(json.dumps(ONE))
    assert effective.title == "2 fusion passes took effect, 10 times"
    assert effective.evidence[0] == {"name": "TbeConv2DElemwise", "kind": "ub_fusion", "matched": 9, "effective": 7}
    assert idle.title == "1 fusion passes matched without effect" and "SoftmaxFusionPass (0 of 2)" in idle.detail
    assert "NeverFusionPass" not in effective.detail + idle.detail


def test_a_list_of_graphs_and_several_sessions_are_added_up() -> None:
    twice = {**ONE, "session_and_graph_id_0_1": ONE["session_and_graph_id_0_0"]}
    for content in (twice, [ONE, ONE], [ONE["session_and_graph_id_0_0"], ONE]):
        assert fusion.passes(json.dumps(content))[0].effective == 14


def test_what_the_converter_leaves_is_read(toolkit, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "r")], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), tmp_path / "m.onnx")
    words = ["--model=m.onnx", "--framework=5", "--output=m", "--soc_version=Ascend310B4"]
    assert toolkit.run("atc", *words, cwd=tmp_path).returncode == 0
    assert all(not one.effective for one in fusion.passes((tmp_path / "fusion_result.json").read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "7", "[[1]]", '"text"', "[" * 100_000, '{"s": [1]}',
        '{"s": {"graph_fusion": {"P": 3}}}', '{"s": {"graph_fusion": {"P": {"match_times": "many"}}}}',
        '{"s": {"ub_fusion": {"P": {"effect_times": "-1"}}}}', '{"s": {"ub_fusion": {"P": {"effect_times": true}}}}',
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        fusion.read(text)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        fusion.read(json.dumps({"s": {"graph_fusion": {"P": content}}, "t": content}))
    except InputError:
        return
