"""A service whose predictions a native program makes: the C++ one that `serve: {engine: cpp}` packs.

`service.json` then has `"program": {"path": "bin/predict", "backend": …}`. The agent keeps HTTP and readings, this file
hands pixels to the program (its `--pipe` mode, codegen/cpp/src/pipe.hpp) and takes predictions from it. Golden replay
runs through the same door, so a program that answers otherwise than the checked files never goes live.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edgewright.device import board
from edgewright.device.service import RoleEngine, Service, ServiceError, inside, load_module, read_spec

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MAGIC = b"EWF1"
METRIC = 1
"""The flag of a frame that asks for the thresholds of the metric."""
START_S = 180.0
ANSWER_S = 60.0


def open_service(folder: str) -> Service:
    """The service of a folder, whoever makes its predictions."""
    return NativeService(folder) if read_spec(folder).get("program") else Service(folder)


class Answer(NamedTuple):
    prediction: Any
    timing_ms: Mapping[str, float]


class NativeService(Service):
    """A Service whose engine, pre- and post-processing are one program; one sample a call."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self.spec = read_spec(self.folder)
        role, entry = next(iter(self.spec["engines"].items()))
        model = inside(self.folder, entry["path"])
        self._program = Program(inside(self.folder, str(self.spec["program"].get("path"))), model, entry)
        self.engines = {role: RoleEngine(self._program, entry)}
        self._task = load_module(os.path.join(self.folder, "app", "task.py"), "edgewright_task")
        self._sessions: Dict[str, Any] = {}
        self.batch = 1

    def session(self, thresholds: str = "serve") -> Any:
        if thresholds not in self._sessions:
            inner = super(NativeService, self).session(thresholds)
            self._sessions[thresholds] = Session(inner, METRIC if thresholds == "metric" else 0)
        return self._sessions[thresholds]

    def infer(self, session: Any, samples: Sequence[Any]) -> Tuple[List[Any], List[Any], Tuple[float, float, float]]:
        """Answers in place of outputs. The clock's phases are the program's own; what passing pixels to it takes is
        left in the last one."""
        start = time.perf_counter()
        answers = [self._program.ask(sample, session.flags) for sample in samples]
        before = sum(answer.timing_ms.get("pre", 0.0) for answer in answers)
        model = sum(answer.timing_ms.get(phase, 0.0) for answer in answers for phase in ("h2d", "execute", "d2h"))
        prepared = start + before / 1000.0
        return answers, [None] * len(answers), (start, prepared, prepared + model / 1000.0)


class Session(object):
    """The task's Session for all but inference: decoding, drawing, signals."""

    def __init__(self, inner: Any, flags: int) -> None:
        self._inner, self.flags = inner, flags

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def finish(self, outputs: Answer, context: Any) -> Any:
        return outputs.prediction


class Program(object):
    """The process. It is started anew where it ended; its standard input is its lifeline."""

    def __init__(self, path: str, model: str, entry: Mapping[str, Any]) -> None:
        self.inputs, self.outputs = list(entry.get("inputs") or []), list(entry.get("outputs") or [])
        self.runtime: Dict[str, str] = {}
        self._argv = [executable(path), "--pipe", "--model", model]
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._start()

    def ask(self, pixels: Any, flags: int) -> Answer:
        """The prediction of decoded pixels (uint8 [H, W, 3] RGB). ServiceError with the program's own words."""
        pixels = _checked(pixels)
        if self._process is None or self._process.poll() is not None:
            self._start()
        frame = struct.pack("<4sIII", MAGIC, flags, pixels.shape[1], pixels.shape[0])
        answer = self._exchange((frame, memoryview(pixels).cast("B")), ANSWER_S)
        timing = {str(name): float(value) for name, value in dict(answer.get("timing_ms") or {}).items()}
        return Answer(answer.get("prediction"), timing)

    def run(self, feeds: Mapping[str, Any]) -> Dict[str, Any]:
        raise ServiceError("The native program makes predictions, not outputs.", "Serve with Python for outputs.")

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        board.leave_out(process.pid)
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was still to be written finds nobody
                pass
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        self.close()
        try:
            self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise ServiceError(
                "%s does not start: %s." % (self._argv[0], error.strerror), "Pack it for this device's processor."
            ) from None
        board.count_in(self._process.pid)
        try:
            ready = self._exchange((), START_S)
        except ServiceError:
            self.close()
            raise
        self.runtime = {"program": str(ready.get("runtime") or "")}

    def _exchange(self, parts: Sequence[Any], patience_s: float) -> Dict[str, Any]:
        """Writes the parts and reads one line. A program that takes too long is ended, which ends the reading."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        watch = threading.Timer(patience_s, process.kill)
        watch.daemon = True
        watch.start()
        try:
            for part in parts:
                process.stdin.write(part)
            process.stdin.flush()
            line = process.stdout.readline(64 << 20)
        except OSError:
            line = b""
        finally:
            watch.cancel()
        return self._understood(line, process)

    def _understood(self, line: bytes, process: "subprocess.Popen[bytes]") -> Dict[str, Any]:
        try:
            answer = json.loads(line.decode("utf-8"))
        except ValueError:
            answer = None
        if isinstance(answer, dict) and "error" not in answer:
            return answer
        if isinstance(answer, dict):
            raise ServiceError(str(answer["error"])[:1000], "See the service's log on the device.")
        process.kill()
        status = process.wait()
        how = "signal %d" % -status if status < 0 else "status %d" % status
        raise ServiceError("The native program ended with %s." % how, "See the service's log on the device.")


def executable(path: str) -> str:
    """The program's path once it may be executed: bundles keep no modes. Elsewhere where this folder forbids that."""
    if not os.path.isfile(path):
        raise ServiceError("%s is missing." % path, "Build the service again.")
    if not os.access(path, os.X_OK):
        try:
            os.chmod(path, 0o555)
        except OSError:
            copy = os.path.join(tempfile.mkdtemp(prefix="edgewright-"), os.path.basename(path))
            shutil.copyfile(path, copy)
            os.chmod(copy, 0o555)
            return copy
    return path


def _checked(pixels: Any) -> Array:
    array = np.ascontiguousarray(pixels)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ServiceError("Pixels are uint8 height×width×3.", "Send an image.")
    return array
