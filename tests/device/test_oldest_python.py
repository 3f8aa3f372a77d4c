"""The programs on the board run on Python 3.8 with nothing but numpy and Pillow.

EDGEWRIGHT_PYTHON38 names such an interpreter; else `python3.8` on the path is tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewright.core.model import Step
from edgewright.core.recipe import EngineSpec, ServiceSpec
from edgewright.core.task import TaskSpec
from edgewright.pipeline.assemble import assemble

ENGINE = """
import numpy as np

def open(path, settings):
    return Engine()

class Engine:
    inputs = [{"name": "x", "dtype": "float32", "shape": [1, 3, 32, 32]}]
    outputs = [{"name": "y", "dtype": "float32", "shape": [1, 14, 4, 4]}]

    def run(self, feeds):
        y = np.full((1, 14, 4, 4), -9, np.float32)
        y[0, :, 1, 2] = [0, 0, 0, 0, 5, 5, -5, 0, 0, 0, 0, 5, -5, 5]
        return {"y": y + feeds["x"].mean() * 0}

    def executed(self):
        return {"precisions": {"fp32": 1.0}, "ops": {"fp32": 1}}

    def close(self):
        pass
"""


@pytest.fixture(scope="module")
def python38() -> str:
    python = os.environ.get("EDGEWRIGHT_PYTHON38") or shutil.which("python3.8") or ""
    ask = "import sys, numpy; print(sys.version_info[:2])"
    if not python or "(3, 8)" not in subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout:
        pytest.skip("elsewhere: there is no Python 3.8 with numpy here (EDGEWRIGHT_PYTHON38 names one)")
    return python


def test_the_worker_runs_on_it(python38, tmp_path):
    task = TaskSpec(
        "detection",
        (Step("letterbox", {"size": [32, 32]}), Step("scale", {"factor": 1 / 255}), Step("layout", {"to": "NCHW"})),
        (
            Step("yolov5_heads", {"roles": ["y"], "strides": [8], "anchors": [[[8, 8], [16, 16]]]}),
            Step("nms", {}),
            Step("unletterbox", {}),
        ),
        ("cat", "dog"),
        {"confidence": 0.25, "iou": 0.45, "max_detections": 10, "multi_label": 0},
        {"confidence": 0.001, "iou": 0.6, "max_detections": 10, "multi_label": 1},
    )
    assemble(ServiceSpec("old", "onnxruntime", "fp32", task, {"main": EngineSpec("service.json")}), tmp_path)
    (tmp_path / "app" / "engine.py").write_text(ENGINE)
    picture, out = tmp_path / "a.png", tmp_path / "out.jsonl"
    Image.fromarray(np.full((64, 48, 3), 99, np.uint8)).save(picture)
    np.save(tmp_path / "a.npy", np.zeros(3))
    commands = [
        {"do": "time", "samples": [str(picture)], "seconds": 0},
        {"do": "predict", "samples": [{"id": "a", "path": str(picture)}], "thresholds": "serve", "out": str(out)},
        {"do": "executed"},
        {"do": "signals", "samples": [str(picture)]},
        {"do": "memory"},
        {"do": "stop"},
    ]
    done = subprocess.run(
        [python38, "-m", "edgewright.device.worker", str(tmp_path)],
        input="\n".join(map(json.dumps, commands)),
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "app")},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 7 and not [a for a in answers if "error" in a], done.stdout + done.stderr
    assert answers[0]["runtime"]["python"].startswith("3.8")
    (row_a, row_b) = json.loads(out.read_text())["prediction"]
    assert {row_a[0], row_b[0]} == {0, 1} and row_a[1] == pytest.approx(0.98665, abs=1e-4)


@pytest.mark.parametrize("name", [p.name for p in Path(assemble.__code__.co_filename).parents[1].glob("device/*.py")])
def test_every_module_of_the_device_imports_on_it(python38, name):
    package = Path(assemble.__code__.co_filename).parents[1]
    module = f"edgewright.device.{name[:-3]}"
    done = subprocess.run(
        [python38, "-c", f"import {module}"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(package.parent)},
    )
    assert done.returncode == 0, done.stderr
