"""One process, one service, one JSON object a line: `python -m edgewright.device.worker FOLDER`.

The protocol is in docs/architecture.md. The real standard output is set aside before anything else
is imported, so that what a runtime prints goes to standard error and cannot break a line.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, TextIO, Tuple

if TYPE_CHECKING:
    from edgewright.device.service import Service

MAX_LINE = 64 << 20
TIMED_SAMPLES = 32
"""Distinct samples a timing goes round; more would only hold memory."""
KEPT_BYTES = 256 << 20
"""Decoded samples kept between commands."""


def main(argv: List[str]) -> int:
    answers = _set_aside_stdout()
    if len(argv) != 2:
        _say(answers, _failure("The worker takes one argument, a service folder.", "Run it through the pipeline."))
        return 2
    started = time.perf_counter()
    try:
        from edgewright.device.service import Service

        service = Service(argv[1])
        worker = Worker(service)
    except Exception as error:
        _say(answers, _explained(error))
        return 1
    _say(answers, worker.ready(time.perf_counter() - started))
    for command in _commands(sys.stdin.buffer, answers):
        if command.get("do") == "stop":
            _say(answers, {"stopped": True})
            break
        _say(answers, worker.answer(command))
    service.close()
    return 0


def _set_aside_stdout() -> TextIO:
    """Our way to the host; file descriptor 1 and `print` now lead to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def _commands(lines: Any, answers: TextIO) -> Iterator[Dict[str, Any]]:
    while True:
        line = lines.readline(MAX_LINE)
        if not line:
            return
        try:
            command = json.loads(line)
        except ValueError:
            command = None
        if isinstance(command, dict):
            yield command
        elif line.strip():
            _say(answers, _failure("That line is no JSON object.", 'Send {"do": …}, one object a line.'))


def _say(answers: TextIO, value: Mapping[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _failure(message: str, remedy: str) -> Dict[str, Any]:
    return {"error": {"message": message, "remedy": remedy}}


def _explained(error: BaseException) -> Dict[str, Any]:
    """Our own errors speak for themselves; of others the kind, the first lines and the place are told."""
    if hasattr(error, "remedy"):
        return _failure(str(error), str(error.remedy))
    import traceback

    traceback.print_exc()
    words = " ".join(str(error).split())[:600]
    return _failure(f"{type(error).__name__}: {words}", "The worker's standard error has the whole account.")


class Worker:
    """The verbs, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoded: Dict[str, Tuple[Any, int]] = {}
        self._verbs: Dict[str, Callable[..., Dict[str, Any]]] = {
            "warm": self.warm,
            "time": self.time,
            "predict": self.predict,
            "memory": self.memory,
            "executed": self.executed,
            "profile": self.profile,
            "signals": self.signals,
        }
        service.session("serve")  # a task that cannot open is told at once

    def ready(self, load_seconds: float) -> Dict[str, Any]:
        return {
            "ready": True,
            "load_seconds": load_seconds,
            "memory_bytes": resident_bytes()[0],
            "pid": os.getpid(),
            "inputs": self._service.main.inputs,
            "outputs": self._service.main.outputs,
            "runtime": self._service.runtime(),
        }

    def answer(self, command: Mapping[str, Any]) -> Dict[str, Any]:
        """The answer to one command; a failure is an answer too."""
        verb = command.get("do")
        if verb not in self._verbs:
            known = ", ".join([*sorted(self._verbs), "stop"])
            return _failure(f"The worker does not know how to do {verb!r}.", f"Known: {known}.")
        try:
            return self._verbs[verb](**{key: value for key, value in command.items() if key != "do"})
        except MemoryError:
            self._decoded.clear()
            return _failure("The device ran out of memory.", "Use a smaller batch, or fewer samples at once.")
        except Exception as error:
            return _explained(error)

    def warm(self, samples: List[str], seconds: float = 0.5, batch: int = 0) -> Dict[str, Any]:
        """Runs samples, timed by nobody, for at least `seconds` and at least three times."""
        timed = self.time(samples, seconds, batch, at_least=3)
        return {"count": timed["count"]}

    def time(self, samples: List[str], seconds: float = 0.4, batch: int = 0, at_least: int = 10) -> Dict[str, Any]:
        """End-to-end latencies (decoded pixels in, predictions out) of calls of `batch` samples, milliseconds."""
        size = batch or self._service.batch
        session = self._service.session("serve")
        ready = [self._sample(path) for path in samples[:TIMED_SAMPLES]]
        if not ready:
            return _failure("There is nothing to time.", "Name at least one sample.")
        phases: Tuple[List[float], ...] = ([], [], [])
        latencies: List[float] = []
        start = now = time.perf_counter()
        while now - start < seconds or len(latencies) < at_least:
            first = len(latencies) * size
            chosen = [ready[(first + k) % len(ready)] for k in range(size)]
            began = time.perf_counter()
            _, parts = self._service.predict(session, chosen)
            now = time.perf_counter()
            latencies.append((now - began) * 1e3)
            for phase, part in zip(phases, parts):
                phase.append(part * 1e3)
        return {
            "latencies_ms": latencies,
            "phases": dict(zip(("preprocess", "compute", "postprocess"), phases)),
            "wall_s": now - start,
            "count": len(latencies),
            "batch": size,
        }

    def predict(self, samples: List[Dict[str, str]], out: str, thresholds: str = "metric") -> Dict[str, Any]:
        """Appends {"id", "prediction"} lines to `out`. A task with `save` puts what is too large for a
        line into files beside it."""
        session = self._service.session(thresholds)
        size = self._service.batch
        folder = os.path.dirname(os.path.abspath(out))
        save = getattr(session, "save", None)
        with open(out, "a", encoding="utf-8") as file:
            for start in range(0, len(samples), size):
                part = samples[start : start + size]
                decoded = [self._sample(sample["path"], keep=False) for sample in part]
                outputs, contexts, _ = self._service.infer(session, decoded)
                for sample, output, context in zip(part, outputs, contexts):
                    prediction = (
                        save(output, context, folder, sample["id"]) if save else session.finish(output, context)
                    )
                    file.write(json.dumps({"id": sample["id"], "prediction": prediction}) + "\n")
        return {"count": len(samples)}

    def memory(self) -> Dict[str, Any]:
        """Resident bytes now and at their highest, less the decoded samples kept for timing; and what engines hold on
        a device of their own."""
        now, peak = resident_bytes()
        kept = sum(size for _, size in self._decoded.values())
        engines = [engine.engine for engine in self._service.engines.values()]
        apart = sum(int(one.memory().get("device_bytes", 0)) for one in engines if hasattr(one, "memory"))
        held = {"bytes": max(0, now - kept), "peak_bytes": max(0, peak - kept), "kept_bytes": kept}
        return {**held, "device_bytes": apart}

    def executed(self) -> Dict[str, Any]:
        """What ran in which precision: {"precisions": {dtype: share}, "ops": {dtype: count}} over all engines."""
        reports = [engine.engine.executed() for engine in self._service.engines.values()]
        merged: Dict[str, Dict[str, float]] = {"precisions": {}, "ops": {}}
        for report in reports:
            for key, divisor in (("precisions", len(reports)), ("ops", 1)):
                for dtype, value in report.get(key, {}).items():
                    merged[key][dtype] = merged[key].get(dtype, 0) + (value / divisor if divisor > 1 else value)
        rest = {key: value for key, value in reports[0].items() if key not in merged} if len(reports) == 1 else {}
        return {**rest, **merged}

    def profile(self, samples: List[str], iterations: int = 20) -> Dict[str, Any]:
        """core.profile.Profile as JSON: the main engine's own account, with our phases around it."""
        session, size = self._service.session("serve"), self._service.batch
        chosen = [self._sample(samples[k % len(samples)]) for k in range(size)]
        times = [self._service.predict(session, chosen)[1] for _ in range(max(3, iterations))]
        middle = [sorted(column)[len(column) // 2] * 1e6 for column in zip(*times)]
        feeds, _ = self._service.feeds(session, chosen)
        main_engine = self._service.main
        report = main_engine.engine.profile(main_engine.named(feeds), iterations)
        phases = dict(zip(("preprocess", "compute", "postprocess"), middle))
        for name, micros in (report.get("phases") or {}).items():  # copies to and from a device are part of our compute
            if name in ("host_to_device", "device_to_host"):
                phases[name] = float(micros)
                phases["compute"] = max(0.0, phases["compute"] - float(micros))
        return {
            "timeline": [],
            "memory": [],
            "notes": [],
            **report,
            "device": platform.node(),
            "precision": str(self._service.spec.get("precision", "")),
            "total_us": sum(middle),
            "phases": phases,
            "iterations": iterations,
            "simulated": bool(self._service.spec.get("simulated", False)),
        }

    def signals(self, samples: List[str]) -> Dict[str, Any]:
        """Per signal its value for every sample, in order: the reference for drift histograms."""
        session = self._service.session("serve")
        values: Dict[str, List[Optional[float]]] = {}
        for path in samples:
            sample = self._sample(path, keep=False)
            found, _ = self._service.predict(session, [sample])
            for name, value in session.signals(sample, found[0]).items():
                values.setdefault(name, []).append(value)
        return {"count": len(samples), "signals": values}

    def _sample(self, path: str, keep: bool = True) -> Any:
        """The decoded sample of a file, from memory where it was kept."""
        if path in self._decoded:
            return self._decoded[path][0]
        sample = self._service.session("serve").decode(path)
        arrays = sample.values() if isinstance(sample, dict) else [sample]
        size = sum(int(getattr(array, "nbytes", 0)) for array in arrays)
        if keep and size + sum(kept for _, kept in self._decoded.values()) <= KEPT_BYTES:
            self._decoded[path] = (sample, size)
        return sample


def resident_bytes() -> Tuple[int, int]:
    """(now, highest so far) resident memory of this process, bytes."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        return tuple(int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
    except (OSError, KeyError, ValueError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others kilobytes
        return peak, peak


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
