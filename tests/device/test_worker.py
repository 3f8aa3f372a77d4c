"""One real process that speaks the protocol of docs/architecture.md, over small ONNX models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from PIL import Image  # noqa: E402

from edgewright.core.model import Step  # noqa: E402
from edgewright.core.recipe import EngineSpec, ServiceSpec  # noqa: E402
from edgewright.core.task import TaskSpec  # noqa: E402
from edgewright.pipeline.assemble import assemble  # noqa: E402

THRESHOLDS = {"confidence": 0.25, "iou": 0.45, "max_detections": 10, "multi_label": 0}


def flat_detector(path: Path, batch: int | str = 1) -> None:
    """images [batch, 3, 32, 32] → out [batch, 2, 7]: two boxes whose scores are the picture's brightness."""
    helper, tensor = onnx.helper, onnx.TensorProto.FLOAT
    rows = np.array([[16, 16, 8, 8, 1, 0, 1], [8, 8, 4, 4, 1, 1, 0]], np.float32)
    mask = np.array([[0, 0, 0, 0, 1, 0, 0]] * 2, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Squeeze", ["mean", "axis"], ["light"]),
            helper.make_node("Mul", ["light", "mask"], ["shade"]),
            helper.make_node("Sub", ["rows", "mask"], ["dark"]),
            helper.make_node("Add", ["dark", "shade"], ["out"]),
        ],
        "flat",
        [helper.make_tensor_value_info("images", tensor, [batch, 3, 32, 32])],
        [helper.make_tensor_value_info("out", tensor, [batch, 2, 7])],
        [onnx.numpy_helper.from_array(a, n) for a, n in ((rows, "rows"), (mask, "mask"), (np.array([3]), "axis"))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def service(folder: Path, batch: int = 1, model_batch: int | str = 1) -> Path:
    task = TaskSpec(
        kind="detection",
        preprocess=(
            Step("letterbox", {"size": [32, 32]}),
            Step("scale", {"factor": 1 / 255}),
            Step("layout", {"to": "NCHW"}),
        ),
        postprocess=(Step("yolov5_flat", {"role": "out"}), Step("nms", {}), Step("unletterbox")),
        labels=("a", "b"),
        serve=THRESHOLDS,
        metric={**THRESHOLDS, "confidence": 0.001},
    )
    (folder / "model").mkdir(parents=True)
    flat_detector(folder / "model" / "m.onnx", model_batch)
    engines = {"main": EngineSpec("model/m.onnx", {"threads": 1})}
    assemble(ServiceSpec("tiny", "onnxruntime", "fp32", task, engines, batch), folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("pictures")
    for level in (250, 150, 50, 1, 0):
        Image.new("RGB", (64, 64), (level, level, level)).save(folder / f"{level}.png")
    return [str(folder / f"{level}.png") for level in (250, 150, 50, 1, 0)]


def talk(folder: Path, *commands: Any, env: dict[str, str] | None = None) -> tuple[list[dict], str]:
    """Every answer of a worker to the commands (text is sent as it is), and its standard error."""
    lines = [c if isinstance(c, str) else json.dumps(c) for c in commands]
    done = subprocess.run(
        [sys.executable, "-m", "edgewright.device.worker", str(folder)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{folder}/app", **(env or {})},
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return service(tmp_path_factory.mktemp("worker") / "service")


def test_ready_says_what_runs(tiny):
    (ready, stopped), _ = talk(tiny, {"do": "stop"})
    assert ready["ready"] is True and ready["load_seconds"] > 0 and ready["memory_bytes"] > 1 << 20
    assert ready["inputs"][0]["shape"] == [1, 3, 32, 32] and ready["outputs"][0]["name"] == "out"
    assert {"python", "numpy", "onnxruntime"} <= set(ready["runtime"])
    assert stopped == {"stopped": True}


def test_time_gives_latencies_with_their_phases(tiny, pictures):
    (_, warm, timed, memory), _ = talk(
        tiny,
        {"do": "warm", "samples": pictures, "seconds": 0},
        {"do": "time", "samples": pictures, "seconds": 0.05, "at_least": 7},
        {"do": "memory"},
    )
    assert warm["count"] >= 3
    assert timed["count"] == len(timed["latencies_ms"]) >= 7 and timed["wall_s"] >= 0.05
    parts = [sum(column) for column in zip(*timed["phases"].values(), strict=True)]
    assert set(timed["phases"]) == {"preprocess", "compute", "postprocess"}
    assert all(part <= whole + 1e-6 for part, whole in zip(parts, timed["latencies_ms"], strict=True))
    assert memory["peak_bytes"] >= memory["bytes"] > 0
    assert memory["kept_bytes"] == 5 * 64 * 64 * 3


def test_predict_appends_one_line_per_sample_under_either_thresholds(tiny, pictures, tmp_path):
    samples = [{"id": Path(p).stem, "path": p} for p in pictures]
    out = str(tmp_path / "out.jsonl")
    talk(
        tiny,
        {"do": "predict", "samples": samples[:2], "thresholds": "metric", "out": out},
        {"do": "predict", "samples": samples[2:], "thresholds": "metric", "out": out},
    )
    lines = [json.loads(line) for line in Path(out).read_text().splitlines()]
    assert [line["id"] for line in lines] == ["250", "150", "50", "1", "0"]
    first = lines[0]["prediction"]
    assert [row[0] for row in first] == [0, 1] or [row[0] for row in first] == [1, 0]
    assert sorted(row[2:] for row in first) == [[12, 12, 20, 20], [24, 24, 40, 40]]
    assert [len(line["prediction"]) for line in lines] == [2, 2, 2, 2, 0]
    serve = str(tmp_path / "serve.jsonl")
    talk(tiny, {"do": "predict", "samples": samples, "thresholds": "serve", "out": serve})
    counts = [len(json.loads(line)["prediction"]) for line in Path(serve).read_text().splitlines()]
    assert counts == [2, 2, 0, 0, 0]


@pytest.mark.parametrize("model_batch", [4, "n"])
def test_a_batch_gives_what_single_samples_give(tiny, pictures, tmp_path, model_batch):
    batched = service(tmp_path / "service", batch=4, model_batch=model_batch)
    samples = [{"id": Path(p).stem, "path": p} for p in pictures]  # five: the last call is filled up
    found = []
    for folder in (tiny, batched):
        out = str(tmp_path / f"{folder.parent.name}.jsonl")
        answers, _ = talk(
            folder, {"do": "predict", "samples": samples, "out": out}, {"do": "time", "samples": pictures}
        )
        assert answers[1] == {"count": 5}
        found.append(Path(out).read_text())
    assert answers[2]["batch"] == 4
    assert found[0] == found[1]


def test_a_dynamic_model_can_be_timed_at_any_batch(pictures, tmp_path):
    folder = service(tmp_path / "service", model_batch="n")
    answers, _ = talk(folder, {"do": "time", "samples": pictures, "batch": 3, "seconds": 0})
    assert answers[1]["batch"] == 3 and answers[1]["count"] == 10


def test_bad_input_is_answered_and_the_process_lives_on(tiny, pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(pictures[0]).read_bytes()[:60])
    answers, _ = talk(
        tiny,
        "not json",
        "[1, 2]",
        {"do": "dance"},
        {"do": "time"},
        {"do": "time", "samples": []},
        {"do": "time", "samples": [str(broken)]},
        {"do": "predict", "samples": [{"id": "x", "path": "/absent.png"}], "out": str(tmp_path / "o")},
        {"do": "predict", "samples": [], "thresholds": "loose", "out": str(tmp_path / "o")},
        {"do": "time", "samples": pictures[:1], "seconds": 0},
    )
    assert len(answers) == 10
    for answer in answers[1:-1]:
        assert answer["error"]["message"] and answer["error"]["remedy"]
    assert "cut off" in answers[6]["error"]["message"] and "broken.png" in answers[6]["error"]["message"]
    assert answers[-1]["count"] == 10


def test_what_a_runtime_prints_cannot_break_a_line(tiny, pictures, tmp_path):
    loud = tmp_path / "loud"
    shutil.copytree(tiny, loud)
    engine = loud / "app" / "engine.py"
    noise = '\nimport os, sys\nos.write(1, b"runtime banner\\n")\nprint("hello")\nsys.stdout.write("more\\n")\n'
    engine.write_text(engine.read_text() + noise)
    answers, errors = talk(loud, {"do": "time", "samples": pictures[:1], "seconds": 0})
    assert [("ready" in a, "count" in a) for a in answers] == [(True, False), (False, True)]
    assert "runtime banner" in errors and "hello" in errors


def test_signals_have_a_value_per_sample(tiny, pictures):
    (_, answer), _ = talk(tiny, {"do": "signals", "samples": pictures})
    assert answer["count"] == 5
    assert answer["signals"]["detections"] == [2, 2, 0, 0, 0]
    assert answer["signals"]["brightness"] == pytest.approx([250 / 255, 150 / 255, 50 / 255, 1 / 255, 0], abs=1e-4)
    assert answer["signals"]["top_confidence"][0] == pytest.approx(250 / 255, abs=1e-4)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda f: (f / "service.json").unlink(), "service.json cannot be read"),
        (lambda f: (f / "service.json").write_text("{}"), "no service description"),
        (lambda f: (f / "app" / "task.py").unlink(), "task.py is missing"),
        (lambda f: (f / "model" / "m.onnx").write_bytes(b"junk"), "protobuf"),
        (lambda f: _edit(f, path="../../etc/passwd"), "outside the service folder"),
    ],
)
def test_a_service_that_cannot_open_says_why(tiny, tmp_path, break_it, words):
    folder = tmp_path / "service"
    shutil.copytree(tiny, folder)
    break_it(folder)
    answers, _ = talk(folder, {"do": "stop"})
    assert len(answers) == 1
    assert words in answers[0]["error"]["message"].lower() or words in answers[0]["error"]["message"]


def _edit(folder: Path, path: str) -> None:
    file = folder / "service.json"
    spec = json.loads(file.read_text())
    spec["engines"]["main"]["path"] = path
    file.write_text(json.dumps(spec))


def test_without_opencv_the_predictions_are_the_same(tiny, pictures, tmp_path):
    samples = [{"id": Path(p).stem, "path": p} for p in pictures]
    texts = []
    for without in ("", "1"):
        out = str(tmp_path / f"{without or 0}.jsonl")
        talk(tiny, {"do": "predict", "samples": samples, "out": out}, env={"EDGEWRIGHT_NO_OPENCV": without})
        texts.append(Path(out).read_text())
    assert texts[0] == texts[1] != ""
