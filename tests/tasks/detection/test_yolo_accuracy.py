"""The reference figures, through the worker's own predictions: what a service says is what is scored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgewright import sources, tasks
from edgewright.core.config import DataSource
from edgewright.core.model import Model, ModelSpec
from edgewright.core.recipe import EngineSpec, ServiceSpec
from edgewright.core.task import Dataset, TaskSpec
from edgewright.pipeline.assemble import assemble

pytest.importorskip("onnxruntime")
TASK = tasks.get("detection")


def load(source: str, path: Path, folder: Path) -> Model:
    member = sources.get(source)
    return member.to_onnx(member.load(ModelSpec(str(path))), 17, folder)["main"]


def validation(shared_dir: Path, spec: TaskSpec, model: Model, folder: Path) -> Dataset:
    where = DataSource(path=str(shared_dir / "data/coco128/coco128.yaml"), split="val")
    return TASK.dataset(where, spec, model, folder)


def predictions(model: Model, spec: TaskSpec, data: Dataset, folder: Path) -> list[Any]:
    (folder / "model").mkdir(parents=True)
    shutil.copy(model.path, folder / "model" / "m.onnx")
    assemble(ServiceSpec("yolo", "onnxruntime", "fp32", spec, {"main": EngineSpec("model/m.onnx")}), folder)
    out = folder / "predictions.jsonl"
    samples = [{"id": s.id, "path": str(s.path)} for s in data.samples]
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.device.worker", str(folder)],
        input=json.dumps({"do": "predict", "samples": samples, "thresholds": "metric", "out": str(out)}) + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder / "app")},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"count": len(samples)}, done.stdout + done.stderr
    return [json.loads(line)["prediction"] for line in out.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("source", "file", "map50_95"),
    [
        ("yolov5", "models/yolov5n-coco/yolov5n.pt", 0.334),
        ("onnx", "models/yolox-nano/yolox_nano.onnx", 0.340),
    ],
)
def test_the_reference_map_is_reached_on_the_128_validation_images(shared_dir, tmp_path, source, file, map50_95):
    (tmp_path / "model").mkdir()
    model = load(source, shared_dir / file, tmp_path / "model")
    spec = TASK.spec(model, {})
    data = validation(shared_dir, spec, model, tmp_path)
    assert len(data.samples) == 128 and data.labelled and sum(len(s.truth) for s in data.samples) == 898
    score = TASK.score(data, predictions(model, spec, data, tmp_path / "service"), spec, "map50_95")
    assert score.value == pytest.approx(map50_95, abs=0.003)
    assert score.resample(range(128)) == pytest.approx(score.value, abs=1e-6)
