from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.sources.yolov5.architecture import Activation, parse_activation, read_architecture


def test_strides_follow_from_the_layers(yaml: dict[str, Any]) -> None:
    architecture = read_architecture(yaml)
    assert architecture.strides == (8, 16, 32)
    assert architecture.detect.out_channels == 3 * (3 + 5)


def test_width_rounds_up_to_multiples_of_eight(small_yaml: dict[str, Any]) -> None:
    layers = read_architecture({**small_yaml, "width_multiple": 0.26}).layers
    assert layers[0].out_channels == 24  # 64 · 0.26 = 16.64
    assert layers[1].out_channels == 40  # 128 · 0.26 = 33.28


def test_depth_rounds_to_the_nearest_and_never_to_none(small_yaml: dict[str, Any]) -> None:
    layers = read_architecture(small_yaml).layers
    assert [layers[i].repeats for i in (2, 4, 6, 8)] == [1, 2, 3, 1]  # 3, 6, 9, 3 times a third


def test_anchors_that_run_against_the_strides_are_turned_round(small_yaml: dict[str, Any]) -> None:
    turned = read_architecture({**small_yaml, "anchors": small_yaml["anchors"][::-1]})
    assert turned.anchors == read_architecture(small_yaml).anchors


def test_a_number_of_anchors_without_values_is_accepted(small_yaml: dict[str, Any]) -> None:
    assert len(read_architecture({**small_yaml, "anchors": 4}).anchors[0]) == 4


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("nn.SiLU()", Activation("silu")),
        ("torch.nn.LeakyReLU(0.2)", Activation("leaky_relu", 0.2)),
        ("nn.LeakyReLU(0.1, inplace=True)", Activation("leaky_relu", 0.1)),
        ("nn.Hardswish()", Activation("hardswish")),
        ("ReLU", Activation("relu")),
    ],
)
def test_activations_are_matched_as_text(text: str, meant: Activation) -> None:
    assert parse_activation(text) == meant


@pytest.mark.parametrize("text", ["__import__('os').system('x')", "nn.Mish()", "nn.LeakyReLU(1.2.3)"])
def test_an_activation_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_activation(text)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        ([-1, 1, "C2f", [128]], "C2f"),
        ([-1, 1, "Conv", []], "channels"),
        ([5, 1, "Conv", [64]], "not before it"),
        ([-1, 1, "nn.Upsample", [None, 2, "bilinear"]], "bilinear"),
        ([-1, 1, "Concat", [0]], "axis"),
        ([[-1, 1], 1, "Conv", [64]], "takes one"),
        ([-1, 1, "Conv", [64, 3, 2, None, True]], "groups"),
        ([-1, 1, "Conv", [1e9]], "channels"),
        ("Conv", "arguments"),
    ],
)
def test_a_layer_that_cannot_be_built_is_named(small_yaml: dict[str, Any], layer: Any, named: str) -> None:
    changed = copy.deepcopy(small_yaml)
    changed["backbone"][3] = layer
    with pytest.raises(InputError, match=named) as refusal:
        read_architecture(changed)
    assert "ONNX" in refusal.value.remedy


def test_detect_must_come_last_and_once(small_yaml: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Detect"):
        read_architecture({**small_yaml, "head": small_yaml["head"][:-1]})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["nc", "depth_multiple", "width_multiple", "anchors", "backbone", "head", "ch"]), value=JUNK)
def test_any_value_is_read_or_refused(small_yaml: dict[str, Any], key: str, value: Any) -> None:
    try:
        read_architecture({**small_yaml, key: value})
    except InputError as refusal:
        assert refusal.remedy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 9), part=st.integers(0, 3), value=JUNK)
def test_any_layer_is_read_or_refused(small_yaml: dict[str, Any], index: int, part: int, value: Any) -> None:
    changed = copy.deepcopy(small_yaml)
    changed["backbone"][index][part] = value
    try:
        read_architecture(changed)
    except InputError as refusal:
        assert refusal.remedy
