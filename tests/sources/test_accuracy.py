"""The real models, exported and run by the program that runs on the board, score what their authors' code scores."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from edgewright import sources, tasks
from edgewright.core.config import DataSource
from edgewright.core.model import Model, ModelSpec


class Runtime:
    """ONNX Runtime, its outputs by name."""

    def __init__(self, model: Model) -> None:
        import onnxruntime

        self.inputs = [{"role": tensor.name, "name": tensor.name} for tensor in model.inputs]
        self.outputs = [{"role": tensor.name, "name": tensor.name} for tensor in model.outputs]
        self.session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])

    def run(self, feeds: dict[str, Any]) -> dict[str, Any]:
        names = [value.name for value in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))


def on_board(spec: Any, model: Model) -> Any:
    path = tasks.ROOM.folder / "detection" / "ondevice.py"
    found = importlib.util.spec_from_file_location("detection_on_the_board", path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.open(spec.to_json(), {"main": Runtime(model)}, "metric")


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "file", "score"),
    [("yolov5", "yolov5n-coco/yolov5n.pt", 0.334), ("onnx", "yolox-nano/yolox_nano.onnx", 0.340)],
)
def test_the_score_of_a_real_model_is_kept(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, file: str, score: float
) -> None:
    monkeypatch.setattr("edgewright.sources.yolov5.source.torch_is_here", lambda: False)
    member, task = sources.get(source), tasks.get("detection")
    model = member.to_onnx(member.load(ModelSpec(str(shared_dir / "models" / file))), 17, tmp_path)["main"]
    spec = task.spec(model, {})
    images = DataSource(path=str(shared_dir / "data/coco128/images/val2017"))
    dataset = task.dataset(images, spec, model, tmp_path)
    session = on_board(spec, model)
    predictions = [session.run(session.decode(str(sample.path))) for sample in dataset.samples]
    assert task.score(dataset, predictions, spec, "map50_95").value == pytest.approx(score, abs=0.003)
