"""Golden samples: recorded once beside the built artefact, replayed on every device before it serves.

    python -m edgewright.device.golden record FOLDER   < {"samples": [{"id", "path"}], "signals": [path], "out"}
    python -m edgewright.device.golden replay FOLDER   < {"seconds", "at_least"}

The inputs are kept decoded (.npy pixels, .npz tensors): a device with another JPEG decoder must still
give the same answers. One JSON object on stdout.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from edgewright.device import board, signals
from edgewright.device.compare import difference
from edgewright.device.native import open_service
from edgewright.device.service import Service, inside

LARGEST_BYTES = 8 << 20
"""A larger decoded sample is passed over while others are left: every device stores it."""
LONGEST_S = 30.0


def record(folder: str, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Writes `golden/` and `reference.json` into `out`; gives what was written."""
    service = open_service(folder)
    session = service.session("serve")
    out = str(request["out"])
    os.makedirs(os.path.join(out, "golden"), exist_ok=True)
    kept = [_keep(out, number, service, session, entry) for number, entry in enumerate(request["samples"])]
    samples = [entry for entry in kept if entry["bytes"] <= LARGEST_BYTES] or kept[:1]
    for entry in kept:
        if entry not in samples:
            os.unlink(os.path.join(out, entry["file"]))
        del entry["bytes"]
    _write(os.path.join(out, "golden", "golden.json"), {"format": 1, "samples": samples})
    values = _signals(service, session, list(request.get("signals") or []))
    reference = reference_of(values)
    _write(os.path.join(out, "reference.json"), reference)
    return {"samples": samples, "reference": reference, "runtime": service.runtime(), "machine": platform.machine()}


def replay(folder: str, request: Mapping[str, Any]) -> Dict[str, Any]:
    """Compares every golden sample, then times them in turn: {"mismatches", "p50_ms", "p95_ms", …}."""
    start = time.monotonic()
    service = open_service(folder)
    session = service.session("serve")
    loaded_s = time.monotonic() - start
    entries = read_golden(folder)
    samples = [load_sample(inside(folder, entry["file"])) for entry in entries]
    kind, limits = str(service.spec["task"].get("kind")), dict(service.spec["task"].get("serve") or {})
    mismatches = []
    for entry, sample in zip(entries, samples):
        session.reset()
        prediction = as_json(service.predict(session, [sample])[0][0])
        said = difference(kind, entry["prediction"], prediction, float(limits.get("confidence", 0.0)))
        if said:
            mismatches.append("%s: %s" % (entry["id"], said))
    times = _times(service, session, samples, float(request.get("seconds", 0.5)), int(request.get("at_least", 30)))
    return {
        "mismatches": mismatches,
        "samples": len(samples),
        "p50_ms": float(np.percentile(times, 50)) if times else None,
        "p95_ms": float(np.percentile(times, 95)) if times else None,
        "count": len(times),
        "memory_bytes": board.memory_bytes().get("peak_bytes", 0),
        "load_seconds": loaded_s,
        "runtime": service.runtime(),
    }


def read_golden(folder: str) -> List[Dict[str, Any]]:
    """The entries of golden/golden.json; [] where a bundle has none."""
    path = os.path.join(folder, "golden", "golden.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return list(json.loads(file.read(64 << 20))["samples"])


def load_sample(path: str) -> Any:
    """Decoded pixels (.npy) or tensors by role (.npz); no pickle is ever run."""
    found = np.load(path, allow_pickle=False)
    return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}


def as_json(prediction: Any) -> Any:
    """A prediction as JSON would give it back: numpy numbers to Python's, tuples to lists."""
    if isinstance(prediction, dict):
        return {str(key): as_json(value) for key, value in prediction.items()}
    if isinstance(prediction, (list, tuple)):
        return [as_json(value) for value in prediction]
    if isinstance(prediction, np.ndarray):
        return as_json(prediction.tolist())
    if isinstance(prediction, np.generic):
        return as_json(prediction.item())
    if isinstance(prediction, float) and prediction != prediction:
        return None
    return prediction


def reference_of(values: Mapping[str, List[float]]) -> Dict[str, Any]:
    """{"count": samples, "signals": {name: {"edges", "counts"}}}: what readings are compared with for drift."""
    histograms = {}
    for name, numbers in sorted(values.items()):
        edges = signals.edges(numbers)
        if edges:
            histograms[name] = {"edges": edges, "counts": signals.histogram(numbers, edges)}
    return {"count": max((len(v) for v in values.values()), default=0), "signals": histograms}


def _keep(out: str, number: int, service: Service, session: Any, entry: Mapping[str, Any]) -> Dict[str, Any]:
    sample = session.decode(entry["path"])
    session.reset()
    prediction = as_json(service.predict(session, [sample])[0][0])
    tensors = isinstance(sample, dict)
    name = "golden/%04d.%s" % (number, "npz" if tensors else "npy")
    path = os.path.join(out, name)
    if tensors:
        np.savez(path, **sample)
    else:
        np.save(path, np.ascontiguousarray(sample), allow_pickle=False)
    return {"id": str(entry["id"]), "file": name, "prediction": prediction, "bytes": os.path.getsize(path)}


def _signals(service: Service, session: Any, paths: List[str]) -> Dict[str, List[float]]:
    values: Dict[str, List[float]] = {}
    for path in paths:
        sample = session.decode(path)
        session.reset()
        prediction = service.predict(session, [sample])[0][0]
        for name, value in session.signals(sample, prediction).items():
            if value is not None:
                values.setdefault(str(name), []).append(float(value))
    return values


def _times(service: Service, session: Any, samples: List[Any], seconds: float, at_least: int) -> List[float]:
    """Milliseconds of one prediction after another; the first, which warms up, is not counted."""
    times: List[float] = []
    start = time.monotonic()
    while samples and time.monotonic() - start < LONGEST_S:
        if time.monotonic() - start >= seconds and len(times) >= at_least:
            break
        _, phases = service.predict(session, [samples[len(times) % len(samples)]])
        times.append(1000.0 * sum(phases))
    return times[1:]


def _write(path: str, value: Any) -> None:
    with open(path, "w", encoding="utf-8") as out:
        out.write(json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n")


def main(argv: List[str]) -> int:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a runtime prints must not break the answer
    status, answer = _answer(argv)
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    return status


def _answer(argv: List[str]) -> Tuple[int, Dict[str, Any]]:
    verbs = {"record": record, "replay": replay}
    if len(argv) != 2 or argv[0] not in verbs:
        return 2, {"error": {"message": "The verbs are record and replay.", "remedy": "Name one, and a folder."}}
    try:
        return 0, verbs[argv[0]](argv[1], json.loads(sys.stdin.read() or "{}"))
    except Exception as error:  # whatever fails here fails the release: it must be said, not thrown
        message = getattr(error, "message", None) or "%s: %s" % (type(error).__name__, error)
        remedy = getattr(error, "remedy", "Build the service again.")
        return 3, {"error": {"message": str(message)[:2000], "remedy": remedy}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
