"""`serve: {engine: cpp}` on the device: the agent's service over the program, and the program's pipe."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from workshop import constant_model, port, service, service_folder, steps

from edgewright.core.recipe import EngineSpec
from edgewright.device import board
from edgewright.device.native import open_service
from edgewright.device.service import Service, ServiceError

pytestmark = pytest.mark.slow
SIDE = 32


@pytest.fixture(scope="module")
def folder(cpu, tmp_path_factory) -> Path:
    """A service folder with its program, as it is packed: without the mode that lets it be executed."""
    place = tmp_path_factory.mktemp("native")
    rows = np.array([[[10, 12, 8, 6, 0.9, 0.1, 0.8, 0.2], [22, 20, 9, 9, 0.1, 0.9, 0.1, 0.1]]])
    constant_model(place / "main.onnx", (1, SIDE, SIDE, 3), {"out": rows})
    entry = EngineSpec("model/main.onnx", {}, (port("x", (1, SIDE, SIDE, 3), "uint8"),), (port("out", (1, 2, 8)),))
    pre = steps(("letterbox", {"size": [SIDE, SIDE]}), ("layout", {"to": "NHWC"}))
    post = steps(("yolov5_flat", {"role": "out"}), ("nms", {}), ("unletterbox", {}))
    spec = service(pre, post, entry)
    made = service_folder(spec, place / "main.onnx", place / "service")
    program = cpu.program(spec)
    (made / "bin").mkdir()
    (made / "bin/predict").write_bytes(program.read_bytes())
    whole = {
        **json.loads((made / "service.json").read_text()),
        "program": {"path": "bin/predict", "backend": "openvino"},
    }
    (made / "service.json").write_text(json.dumps(whole))
    return made


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (30, 44, 3), dtype=np.uint8)


def test_predictions_thresholds_and_signals_are_those_of_the_python_service(folder: Path) -> None:
    native, python = open_service(str(folder)), Service(str(folder))
    try:
        for thresholds, count in (("serve", 1), ("metric", 6)):
            ours, theirs = native.session(thresholds), python.session(thresholds)
            (found,), phases = native.predict(ours, [picture()])
            (expected,), _ = python.predict(theirs, [picture()])
            assert found == expected and len(found) == count
            assert ours.signals(picture(), found) == theirs.signals(picture(), expected)
            assert all(seconds >= 0 for seconds in phases)
        assert "OpenVINO" in native.runtime()["program"]
        assert native.main.inputs == python.main.inputs
    finally:
        native.close()


def test_memory_counts_the_program_too(folder: Path) -> None:
    alone = board.memory_bytes()["bytes"]
    native = open_service(str(folder))
    both = board.memory_bytes()["bytes"]
    native.close()
    assert both > alone + (5 << 20)
    assert board.memory_bytes()["bytes"] < both


def test_a_program_that_dies_is_said_and_started_again(folder: Path) -> None:
    native = open_service(str(folder))
    session = native.session()
    try:
        before = native.predict(session, [picture()])[0]
        process = native._program._process
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert native.predict(session, [picture()])[0] == before
        with pytest.raises(ServiceError, match="uint8"):
            native.predict(session, [np.zeros((3, 3), np.uint8)])
    finally:
        native.close()


def test_what_is_missing_or_broken_is_said(folder: Path, tmp_path: Path) -> None:
    import shutil

    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model/main.onnx").write_bytes(b"nothing")
    with pytest.raises(ServiceError, match="cannot be run by OpenVINO"):
        open_service(str(broken))
    (broken / "bin/predict").write_bytes(b"\x7fELF not really")
    with pytest.raises(ServiceError, match="does not start"):
        open_service(str(broken))
    (broken / "bin/predict").unlink()
    with pytest.raises(ServiceError, match="missing"):
        open_service(str(broken))
    spec = json.loads((broken / "service.json").read_text())
    (broken / "service.json").write_text(json.dumps({**spec, "program": {"path": "../../bin/sh"}}))
    with pytest.raises(ServiceError, match="outside"):
        open_service(str(broken))


@pytest.mark.parametrize(
    ("sent", "status", "lines"),
    [
        (b"", 0, 1),
        (b"GET / HTTP/1.1\r\n\r\n", 3, 2),
        (struct.pack("<4sIII", b"EWF1", 0, 0, 5), 3, 2),
        (struct.pack("<4sIII", b"EWF1", 0, 60000, 60000), 3, 2),
        (struct.pack("<4sIII", b"EWF1", 0, 8, 8) + b"cut off", 0, 1),
        (2 * (struct.pack("<4sIII", b"EWF1", 0, 2, 2) + bytes(12)), 0, 3),
    ],
)
def test_the_pipe_answers_whole_frames_and_refuses_the_rest(folder: Path, sent: bytes, status: int, lines: int) -> None:
    (folder / "bin/predict").chmod(0o755)
    argv = [str(folder / "bin/predict"), "--pipe", "--model", str(folder / "model/main.onnx")]
    done = subprocess.run(argv, input=sent, capture_output=True, timeout=60, check=False)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(said)) == (status, lines)
    assert said[0]["ready"] is True and said[0]["name"] == "small"
    assert all(("error" in line) == (status != 0) for line in said[1:])
