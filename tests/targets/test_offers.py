"""The ladders as data: what the device's facts, the model and the options make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgewright import targets
from edgewright.core.config import GoalConfig
from edgewright.core.errors import ConfigError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, TensorSpec
from edgewright.core.task import TaskSpec

X86 = Facts("pc", "any", cores=8, threads=8, isa=("avx2", "avx512_vnni"), peaks={"fp32": 100.0, "bf16": 180.0})
TASK = TaskSpec("tensors")


def ladder(
    family: str, model: Model, facts: Facts = X86, options: dict[str, Any] | None = None, calibrated: bool = True
):
    return {r.name: r for r in targets.get(family).offers(model, TASK, facts, options or {}, calibrated)}


@pytest.fixture
def encoder(tmp_path: Path) -> Model:
    """A graph of one matrix product on tokens."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in ("x", "y")]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 4], [0.1] * 16)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), tmp_path / "m.onnx")
    port = TensorSpec("x", "float32", ("batch", 4))
    return Model(tmp_path / "m.onnx", str(tmp_path), (port,), (replace(port, name="y"),), 17)


def test_half_precision_is_offered_only_where_the_device_executed_it(detector: Model) -> None:
    assert list(ladder("openvino", detector)) == ["int8", "bf16", "fp32"]
    assert list(ladder("openvino", detector, replace(X86, peaks={"fp32": 100.0}))) == ["int8", "fp32"]
    assert list(ladder("openvino", detector, replace(X86, peaks={"fp32": 1.0, "fp16": 2.0}))) == [
        "int8",
        "fp16",
        "fp32",
    ]
    assert list(ladder("onnxruntime", detector)) == ["int8", "fp32"]


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
def test_convolutions_need_calibration_and_matrix_products_do_not(family: str, detector: Model, encoder: Model) -> None:
    assert "int8" not in ladder(family, detector, calibrated=False)
    assert ladder(family, encoder, calibrated=False)["int8"].quantiser == {"kind": "dynamic"}


def test_fp32_asks_for_fp32_whatever_the_options_say(detector: Model) -> None:
    recipes = ladder("openvino", detector, options={"inference_precision": "bf16", "threads": 2})
    assert recipes["fp32"].runtime["inference_precision"] == "f32"
    assert all(recipe.runtime["threads"] == 2 for recipe in recipes.values())


@pytest.mark.parametrize(
    ("isa", "activation", "reduced"),
    [(("avx2",), "uint8", True), (("avx512_vnni",), "uint8", False), (("asimd", "asimddp"), "int8", False)],
)
def test_the_int8_scheme_follows_the_instruction_set(
    isa: tuple[str, ...], activation: str, reduced: bool, detector: Model
) -> None:
    quantiser = ladder("onnxruntime", detector, replace(X86, isa=isa))["int8"].quantiser
    assert (quantiser["activation"], quantiser["reduce_range"]) == (activation, reduced)


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
def test_variants_share_what_was_built(family: str, detector: Model) -> None:
    member, leader = targets.get(family), ladder(family, detector)["int8"]
    variants = list(member.tune(leader, X86, GoalConfig()))
    assert variants and all(v.build_key() == leader.build_key() and v.runtime != leader.runtime for v in variants)
    assert len({v.name for v in variants} | {leader.name}) == len(variants) + 1


def test_options_are_checked_with_the_nearest_name(detector: Model) -> None:
    with pytest.raises(ConfigError, match="threads"):
        ladder("openvino", detector, options={"thread": 2})
