"""What every member of the tasks room keeps, from its steps to its score, over a real engine.

A new member adds one entry to CASES: a small model and where its data come from.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import tasks
from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.model import Model, TaskHints, TensorSpec
from edgewright.core.recipe import EngineSpec, ServiceSpec
from edgewright.core.record import plain
from edgewright.core.task import Dataset, TaskSpec
from edgewright.device.service import Service
from edgewright.pipeline.assemble import assemble

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from PIL import Image  # noqa: E402

MEMBERS = tasks.names()
OPTIONS: dict[str, Any] = {}


def graph(folder: Path, outputs: list[int | str], weights: np.ndarray) -> Model:
    """x [1, 3, 16, 16] → its mean, times and plus constant weights of the output's shape."""
    helper, tensor = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "weights"], ["scaled"]),
        helper.make_node("Add", ["scaled", "weights"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", tensor, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", tensor, outputs)],
        [onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    shape = tuple(outputs)
    return Model(path, "d", (TensorSpec("x", "float32", (1, 3, 16, 16)),), (TensorSpec("y", "float32", shape),), 17)


def images(folder: Path, labels: bool) -> Path:
    for k in range(4):
        path = folder / "images" / ("dog" if k % 2 else "cat") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 60 * k, np.uint8)).save(path)
        if labels:
            label = folder / "labels" / path.parent.name / f"{k}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.5 0.5 0.4 0.4\n")
    return folder / "images"


def detector(folder: Path) -> tuple[Model, str]:
    rows = np.zeros((1, 252, 7))
    rows[0, :2] = [[8, 8, 6, 4, 0.6, 0.6, 0.1], [4, 8, 3, 3, 0.6, 0.1, 0.7]]
    model = graph(folder, [1, 252, 7], rows)
    hints = TaskHints("detection", "yolov5", ("cat", "dog"), (8, 16, 32))
    return Model(**{**vars(model), "hints": hints}), str(images(folder, labels=True))


def classifier(folder: Path) -> tuple[Model, str]:
    return graph(folder, [1, 2], np.array([[1.0, 2.0]])), str(images(folder, labels=False))


def anything(folder: Path) -> tuple[Model, str]:
    return graph(folder, [1, 5], np.arange(5.0)[None]), "generated"


CASES: dict[str, Callable[[Path], tuple[Model, str]]] = {
    "detection": detector,
    "classification": classifier,
    "tensors": anything,
    "null": anything,
}


class Case:
    """A member with everything around it: model, steps, data, and its opened service folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.member, self.folder = tasks.get(name), folder
        self.model, self.where = CASES[name](folder)
        options = {**OPTIONS, "labels": ["cat", "dog"] if name == "classification" else None}
        self.spec: TaskSpec = self.member.spec(self.model, options)
        self.data = self.read()
        service = folder / "service"
        (service / "model").mkdir(parents=True)
        shutil.copy(self.model.path, service / "model" / "m.onnx")
        engines = {"main": EngineSpec("model/m.onnx", {"threads": 1})}
        assemble(ServiceSpec("case", "onnxruntime", "fp32", self.spec, engines), service)
        self.service = Service(str(service))

    def read(self, **options: Any) -> Dataset:
        where = DataSource(path=self.where, **options)
        return self.member.dataset(where, self.spec, self.model, self.folder / "work")

    def predictions(self, thresholds: str) -> list[Any]:
        session, found = self.service.session(thresholds), []
        (self.folder / thresholds).mkdir(exist_ok=True)
        for sample in self.data.samples:
            feeds, context = session.prepare(session.decode(str(sample.path)))
            outputs = session.infer(feeds)
            if hasattr(session, "save"):
                made = session.save(outputs, context, str(self.folder / thresholds), sample.id)
                found.append({"file": str(self.folder / thresholds / made["file"])})
            else:
                found.append(session.finish(outputs, context))
        return found


@pytest.fixture(scope="module", params=MEMBERS)
def case(request, tmp_path_factory) -> Case:
    assert request.param in CASES, f"tests/conformance/test_tasks.py has no case for the task {request.param}"
    return Case(request.param, tmp_path_factory.mktemp(request.param))


def test_a_member_is_called_as_its_folder_and_has_a_readme(case):
    folder = tasks.ROOM.folder / case.member.name
    assert case.member.metrics and folder.is_dir()
    assert len((folder / "README.md").read_text(encoding="utf-8")) > 300


def test_its_program_on_the_device_is_python_3_8(case):
    source = (tasks.ROOM.folder / case.member.name / "ondevice.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    assert {"open"} <= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_its_steps_are_data(case):
    assert case.spec.kind == case.member.name
    assert TaskSpec.from_json(json.loads(json.dumps(case.spec.to_json()))) == case.spec


def test_its_data_are_the_same_each_time(case):
    again = case.read()
    assert again == case.data and again.digest and len({s.id for s in again.samples}) == len(again.samples) > 0
    assert Dataset.from_json(json.loads(json.dumps(plain(again)))) == again
    assert all(s.path.is_file() for s in again.samples)
    assert len(case.read(count=2).samples) == 2 and case.read(count=2).digest != again.digest


def test_data_that_are_not_there_are_refused(case):
    if case.member.name == "null":  # it makes its own data, whatever is asked
        return
    with pytest.raises(InputError) as error:
        case.member.dataset(DataSource(path="/no/such/data"), case.spec, case.model, case.folder / "work")
    assert error.value.message and error.value.remedy


@pytest.mark.parametrize("thresholds", ["serve", "metric"])
def test_its_session_keeps_the_contract(case, thresholds):
    session = case.service.session(thresholds)
    sample = session.decode(str(case.data.samples[1].path))
    feeds, context = session.prepare(sample)
    assert set(feeds) == {"x"} and feeds["x"].shape[0] == 1
    prediction = session.finish(session.infer(feeds), context)
    session.reset()
    assert session.run(sample) == prediction
    assert json.loads(json.dumps(prediction)) == prediction
    together, seconds = case.service.predict(session, [sample])
    assert together == [prediction] and len(seconds) == 3
    signals = session.signals(sample, prediction)
    assert signals and all(np.isfinite(float(value)) for value in signals.values())
    picture = np.zeros((40, 40, 3), np.uint8)
    drawn = session.draw(picture, prediction)
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8


def test_a_model_agrees_with_itself(case):
    own = case.predictions("serve")
    score = case.member.agreement(case.data, own, own, case.spec)
    assert score.value == pytest.approx(1.0) and len(score) == len(own)
    assert score.resample(range(len(own))) == pytest.approx(score.value)
    assert score.resample(np.array([1, 1, 0])) == pytest.approx(1.0)
    assert all(isinstance(v, float) for v in score.others.values())


def test_its_metrics_are_fractions_that_can_be_resampled(case):
    predictions = case.predictions("metric")
    for metric in case.member.metrics:
        if not case.data.labelled:
            with pytest.raises(InputError):
                case.member.score(case.data, predictions, case.spec, metric)
            continue
        score = case.member.score(case.data, predictions, case.spec, metric)
        assert score.name == metric and 0 <= score.value <= 1 and len(score) == len(predictions)
        assert score.resample(range(len(score))) == pytest.approx(score.value, abs=1e-6)


def test_an_unknown_metric_is_refused(case):
    with pytest.raises(InputError):
        case.member.score(case.data, case.predictions("metric"), case.spec, "beauty")


def test_its_health_check_gives_findings(case):
    for finding in case.member.health(case.data, case.data, case.spec):
        assert finding.rule and finding.title and finding.detail and finding.severity in ("info", "warning")
