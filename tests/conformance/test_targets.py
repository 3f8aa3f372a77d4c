"""Every member of the targets room keeps the contract of `core.contracts.Target`, and its engine the one of
docs/architecture.md."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import edgewright
from edgewright import targets, transports
from edgewright.core.contracts import BuildResult
from edgewright.core.errors import ConfigError
from edgewright.core.facts import Facts
from edgewright.core.model import Model, TensorSpec
from edgewright.core.plugs import Room
from edgewright.core.profile import Operator, Profile
from edgewright.core.recipe import PRECISIONS, Recipe
from edgewright.core.task import TaskSpec
from edgewright.graph import parity

PACKAGE = Path(edgewright.__file__).parent
TASK = TaskSpec("tensors")
FACTS = Facts("here", "any", cores=2, threads=2, isa=("avx512_vnni",), peaks={"fp32": 1e2, "bf16": 2e2, "int8": 4e2})
MEMBERS = [name for name in targets.names() if (PACKAGE / "targets" / name).is_dir()]


@pytest.fixture(params=MEMBERS)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        pytest.importorskip("torch")
    if request.param == "cann":  # on the stand-in
        toolkit = request.getfixturevalue("toolkit")
        for variable, value in toolkit.environment().items():
            if variable.startswith(("ASCEND", "CANNSIM")) or variable == "PATH":
                monkeypatch.setenv(variable, value)
    return str(request.param)


def facts_of(name: str) -> Facts:
    chip = {"chip": "310B4", "soc_version": "Ascend310B4", "cann": "8.1.RC1"}
    return replace(FACTS, accelerator=chip, simulated=True) if name == "cann" else FACTS


def three_nodes() -> Any:
    """Convolution, ReLU, global average: what any runtime has."""
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.normal(0, 0.3, (16, 3, 3, 3)).astype(np.float32), "w")
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])]
    ports.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 1, 1]))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["y"], name="mean"),
    ]
    graph = helper.make_graph(nodes, "three", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def model_of(folder: Path) -> Model:
    proto = three_nodes()
    save(proto, str(folder / "model.onnx"))
    inputs = (TensorSpec("x", "float32", (1, 3, 16, 16)),)
    outputs = (TensorSpec("y", "float32", (1, 16, 1, 1)),)
    return Model(folder / "model.onnx", "0", inputs, outputs, 17, program=_program(proto, folder))


def _program(proto: Any, folder: Path) -> Path | None:
    """The same three nodes as a torch program, where torch is here."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    weight = torch.from_numpy(numpy_helper.to_array(proto.graph.initializer[0]).copy())

    class Three(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.relu(torch.nn.functional.conv2d(x, weight, padding=1)).mean((2, 3), keepdim=True)

    torch.export.save(torch.export.export(Three(), (torch.zeros(1, 3, 16, 16),)), str(folder / "model.pt2"))
    return folder / "model.pt2"


def engine_module(name: str) -> ModuleType:
    """The ondevice.py, loaded by path as the device does."""
    spec = importlib.util.spec_from_file_location(f"engine_{name}", PACKAGE / "targets" / name / "ondevice.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def build(member: Any, model: Model, recipe: Recipe, folder: Path) -> BuildResult:
    if not hasattr(member, "build_on"):
        return member.build({"main": model}, TASK, recipe, None, folder / "service")
    host = await transports.get("local").open("local", root=str(folder / "host"))
    try:
        return await member.build_on(host, {"main": model}, TASK, recipe, None, folder / "service")
    finally:
        await host.close()


def built(name: str, folder: Path) -> tuple[Recipe, BuildResult, Any]:
    """The plain fp32 recipe, what was built of it, and the engine opened on it."""
    member, model = targets.get(name), model_of(folder)
    recipe = list(member.offers(model, TASK, facts_of(name), {}, False))[-1]
    result = asyncio.run(build(member, model, recipe, folder))
    spec = result.service.engines["main"]
    return recipe, result, engine_module(name).open(str(folder / "service" / spec.path), dict(spec.settings))


def test_a_member_says_its_name_and_its_precisions(name: str) -> None:
    member = targets.get(name)
    assert member.name == name
    assert member.precisions and set(member.precisions) <= set(PRECISIONS)
    assert member.precisions[-1] == "fp32"


def test_the_ladder_falls_in_order_and_ends_in_fp32(name: str, tmp_path: Path) -> None:
    member, model = targets.get(name), model_of(tmp_path)
    for calibrated in (True, False):
        ladder = list(member.offers(model, TASK, facts_of(name), {}, calibrated))
        assert ladder[-1].precision == "fp32"
        assert [PRECISIONS.index(r.precision) for r in ladder] == sorted(PRECISIONS.index(r.precision) for r in ladder)
        assert len({recipe.name for recipe in ladder}) == len(ladder)
        assert all(recipe.family == name and recipe.reason for recipe in ladder)
        assert all(recipe.precision in member.precisions for recipe in ladder)
        assert calibrated or not any(r.precision == "int8" and r.quantiser.get("kind") != "dynamic" for r in ladder)


def test_offers_are_pure(name: str, tmp_path: Path) -> None:
    member, model = targets.get(name), model_of(tmp_path)
    first = [recipe.to_json() for recipe in member.offers(model, TASK, facts_of(name), {}, True)]
    assert first == [recipe.to_json() for recipe in member.offers(model, TASK, facts_of(name), {}, True)]


def test_an_unknown_option_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="thread_count"):
        list(targets.get(name).offers(model_of(tmp_path), TASK, facts_of(name), {"thread_count": 2}, False))


def test_the_engine_answers_as_onnxruntime_does(name: str, tmp_path: Path) -> None:
    _, result, engine = built(name, tmp_path)
    x = np.random.default_rng(1).random((1, 3, 16, 16), np.float32)
    found = engine.run({engine.inputs[0]["name"]: x})["y"]
    expected = parity.run(three_nodes(), {"x": x})["y"]
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    engine.close()
    spec = result.service.engines["main"]
    assert [port.name for port in spec.inputs] == ["x"] and [port.role for port in spec.outputs] == ["y"]


def test_the_engine_keeps_up_with_inputs_that_change_in_place(name: str, tmp_path: Path) -> None:
    _, _, engine = built(name, tmp_path)
    x = np.zeros((1, 3, 16, 16), np.float32)
    zeros = engine.run({"x": x})["y"].copy()
    x += 1
    ones = engine.run({"x": x})["y"].copy()
    again = engine.run({"x": np.zeros((1, 3, 16, 16), np.float32)})["y"].copy()
    assert not np.array_equal(zeros, ones)
    np.testing.assert_array_equal(zeros, again)


def test_what_was_executed_adds_up_to_one(name: str, tmp_path: Path) -> None:
    _, _, engine = built(name, tmp_path)
    executed = engine.executed()
    assert sum(executed["precisions"].values()) == pytest.approx(1)
    assert executed["precisions"]["fp32"] > 0.9
    assert all(isinstance(count, int) and count > 0 for count in executed["ops"].values())
    x = np.ones((1, 3, 16, 16), np.float32)
    assert np.isfinite(engine.run({"x": x})["y"]).all()  # it still runs afterwards


def test_a_profile_is_in_the_one_schema(name: str, tmp_path: Path) -> None:
    _, _, engine = built(name, tmp_path)
    report = engine.profile({"x": np.ones((1, 3, 16, 16), np.float32)}, 3)
    profile = Profile.from_json({**report, "device": "here", "precision": "fp32", "total_us": 1.0})
    assert profile.operators and all(isinstance(one, Operator) for one in profile.operators)
    assert all(operator.duration_us >= 0 for operator in profile.operators)
    weighted = [o for o in profile.operators if "conv" in o.type.lower()]
    assert weighted and (16, 3, 3, 3) in weighted[0].inputs and weighted[0].outputs[0] == (1, 16, 16, 16)
    assert profile.timeline and profile.memory[0].owner == "weights"


def test_the_artefact_lies_under_model_and_the_service_says_where(name: str, tmp_path: Path) -> None:
    recipe, result, _ = built(name, tmp_path)
    spec = result.service.engines["main"]
    assert spec.path.startswith("model/") and (tmp_path / "service" / spec.path).is_file()
    assert {p.name for p in (tmp_path / "service").iterdir()} <= {"model", "logs"}
    assert (result.service.family, result.service.precision) == (name, recipe.precision)


def test_the_engine_imports_with_nothing_of_ours_but_device(name: str, tmp_path: Path) -> None:
    """As on a board: of our package only device/ is on the path."""
    app = tmp_path / "app" / "edgewright"
    app.mkdir(parents=True)
    (app / "__init__.py").write_text("")
    (app / "device").symlink_to(PACKAGE / "device")
    path = PACKAGE / "targets" / name / "ondevice.py"
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('engine', {str(path)!r})\n"
        "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "ours = [m for m in sys.modules if m.startswith('edgewright') and not m.startswith('edgewright.device')]\n"
        "assert set(ours) <= {'edgewright'}, ours\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino', 'nncf'} & set(sys.modules)\n"
        "assert not heavy and callable(module.open), heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path / "app")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ["targets/{}/ondevice.py", "device/probe.py"])
def test_device_code_is_python_3_8(name: str, path: str) -> None:
    ast.parse((PACKAGE / path.format(name)).read_text(), feature_version=(3, 8))


def test_doctor_names_a_remedy_for_whatever_is_missing(name: str, tmp_path: Path) -> None:
    async def look() -> Any:
        link = await transports.get("local").open("local", root=str(tmp_path))
        try:
            return await targets.get(name).doctor(link)
        finally:
            await link.close()

    checks = asyncio.run(look())
    assert checks and all(check.ok or check.remedy for check in checks)


def test_the_room_tells_a_wrong_name_its_nearest() -> None:
    room: Room[Any] = Room("targets", "target")
    with pytest.raises(ConfigError, match="openvino"):
        room.get("openvin")


def test_every_member_has_a_readme(name: str) -> None:
    assert (PACKAGE / "targets" / name / "README.md").stat().st_size > 200
