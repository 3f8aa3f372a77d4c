"""A build says nothing on standard output and reports nothing home."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import detectors
import onnx

from edgewright.core.task import Dataset

PROGRAM = """
import sys
from pathlib import Path

class NoSockets:
    def __init__(self, *a, **k):
        raise AssertionError("a socket was opened")

import socket
socket.socket = NoSockets
socket.create_connection = NoSockets

from edgewright import targets
from edgewright.core.facts import Facts
from edgewright.core.model import Model, Step, TensorSpec
from edgewright.core.task import Dataset, Sample, TaskSpec

folder = Path(sys.argv[1])
model = Model(folder / "m.onnx", "0", (TensorSpec("images", "float32", (1, 3, 64, 64)),), (), 17)
task = TaskSpec(
    "detection",
    preprocess=(
        Step("letterbox", {"size": [64, 64]}), Step("scale", {"factor": 1 / 255}), Step("layout", {"to": "NCHW"}),
    ),
    postprocess=(Step("yolov5_flat", {"role": "output0"}),),
    serve={"confidence": 0.3, "iou": 0.5, "max_detections": 10},
)
data = Dataset("d", tuple(Sample(p, Path(p)) for p in sys.argv[3:]), False, "0")
member = targets.get(sys.argv[2])
recipe = next(iter(member.offers(model, task, Facts("d", member.name), {}, True)))
member.build({"main": model}, task, recipe, data, folder / "out")
assert recipe.precision == "int8"
assert sys.modules.get("openvino_telemetry") is None
"""


def _build(family: str, folder: Path, pictures: Dataset) -> subprocess.CompletedProcess[str]:
    onnx.save(detectors.yolov5(), str(folder / "m.onnx"))
    paths = [str(sample.path) for sample in pictures.samples[:4]]
    argv = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), family, *paths]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_an_openvino_build_is_silent_and_opens_no_socket(pictures: Dataset, tmp_path: Path) -> None:
    done = _build("openvino", tmp_path, pictures)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_an_onnxruntime_build_is_silent_and_opens_no_socket(pictures: Dataset, tmp_path: Path) -> None:
    done = _build("onnxruntime", tmp_path, pictures)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
