"""One contestant as a process of its own: `python -m contestants.program NAME MODEL CALIBRATION`.

It answers one JSON line per command, as our own worker does, so that the host can let contestants take turns:
{"do": "time", "samples", "seconds"} → latencies in ms; {"do": "predict", "samples"} → boxes for mAP; {"do": "stop"}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from contestants.ordinary import SIZE, finish, prepare

Network = Callable[[np.ndarray], np.ndarray]


def pytorch(model: str, _: list[str]) -> Network:
    """PyTorch eager fp32, all cores: the module itself, rebuilt from the checkpoint (not the exported program that
    `edgewright run` measures as its baseline, which is some 15 % slower than the module)."""
    import torch

    from edgewright.sources.yolov5.checkpoint import read_checkpoint
    from edgewright.sources.yolov5.source import torch_module_of

    torch.set_num_threads(os.cpu_count() or 1)
    module = torch_module_of(read_checkpoint(Path(model)))

    def run(blob: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(blob)).numpy()

    return run


def onnxruntime(model: str, _: list[str]) -> Network:
    """ONNX Runtime fp32, default session."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda blob: session.run(None, {name: blob})[0]


def openvino_nncf(model: str, calibration: list[str]) -> Network:
    """OpenVINO with NNCF's defaults: `nncf.quantize(model, dataset)`, latency hint, nothing else."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import nncf
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    network.reshape([1, 3, SIZE, SIZE])
    blobs = [prepare(decode(path))[0] for path in calibration]
    quantised = nncf.quantize(network, nncf.Dataset(blobs), subset_size=len(blobs))
    compiled = core.compile_model(quantised, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda blob: request.infer([blob])[compiled.output(0)]


NETWORKS = {"pytorch": pytorch, "onnxruntime": onnxruntime, "openvino-nncf": openvino_nncf}


def decode(path: str) -> np.ndarray:
    image = cv2.imread(path)
    if image is None:
        raise SystemExit(f"{path} is no image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def main() -> None:
    name, model, calibration = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints must not be taken for an answer
    network = NETWORKS[name](model, calibration)
    images: dict[str, np.ndarray] = {}

    def say(answer: dict[str, object]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    def once(path: str, confidence: float, iou: float, multi_label: bool) -> list[list[float]]:
        image = images.setdefault(path, decode(path)) if path not in images else images[path]
        blob, scale, left, top = prepare(image)
        return finish(network(blob), image.shape, scale, left, top, confidence, iou, multi_label)

    say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "stop":
            break
        if command["do"] == "predict":
            say({"predictions": [once(path, 0.001, 0.6, command["multi_label"]) for path in command["samples"]]})
            continue
        for path in command["samples"]:
            images.setdefault(path, decode(path))
        latencies, end = [], time.perf_counter() + command["seconds"]
        while time.perf_counter() < end or len(latencies) < 10:
            start = time.perf_counter()
            once(command["samples"][len(latencies) % len(command["samples"])], 0.25, 0.45, False)
            latencies.append((time.perf_counter() - start) * 1000)
        say({"latencies_ms": latencies})


if __name__ == "__main__":
    main()
