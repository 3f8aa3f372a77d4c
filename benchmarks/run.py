"""`make bench`: YOLOv5n at 640×640 against PyTorch, ONNX Runtime and OpenVINO + NNCF, side by side.

Every contestant is a process of its own; they take turns in rounds whose order rotates, so that a drift of
the machine hits all of them. A latency is one image end to end: decoded pixels in, boxes out, serving thresholds. The
metric is mAP50-95 on the 128 val images with the metric thresholds, by the same engine for all.

Results: benchmarks/results/yolov5n.json and a table. Ratios count; milliseconds are this machine's today.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgewright import tasks
from edgewright.core.errors import EdgewrightError
from edgewright.pipeline import statistics
from edgewright.pipeline.load import data, load
from edgewright.pipeline.predictions import shuffled
from edgewright.pipeline.project import Project, open_project
from edgewright.pipeline.run import run_targets
from edgewright.pipeline.stop import running

HERE = Path(__file__).parent
ORDINARY = ("pytorch", "onnxruntime", "openvino-nncf")
PAUSE_S = 0.1
TIMED_IMAGES = 16


class Contestant:
    """One process that answers a JSON line per command; ours speaks the worker's protocol, the others the same one."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self.name = name
        self.rounds: list[list[float]] = []
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, cwd=HERE
        )
        self.read()

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended without an answer (exit status {self.process.wait()})")
        answer = dict(json.loads(line))
        if "error" in answer:
            raise SystemExit(f"{self.name}: {answer['error']}")
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Printed:
    """Progress of our own pipeline, one line a stage."""

    def stage(self, name: str, detail: str = "") -> None:
        print(f"  {name}: {detail}", flush=True)

    def step(self, done: int, total: int, detail: str = "") -> None: ...

    def note(self, text: str) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(HERE.parent / "examples" / "yolov5n-coco.yaml"))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0, help="per contestant and round")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "yolov5n.json")
    arguments = parser.parse_args()
    try:
        results = bench(arguments.config, arguments.rounds, arguments.seconds)
    except EdgewrightError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    print(f"\n{arguments.out}")
    if not results["ours_not_slower"]:
        raise SystemExit(1)


def bench(config: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Builds everything, lets the contestants take turns, scores all of them by the same metric."""
    project = open_project(config)
    live = running(project.store)
    if live:
        place = live[0].url or live[0].target
        raise SystemExit(f"A service of ours is running ({place}) and would be timed too: stop it with `make stop`.")
    print("ours: the pipeline up to its choice", flush=True)
    loaded, datasets = load(project, Printed()), None
    datasets = data(project, loaded, Printed())
    found = run_targets(project, Printed())[0]
    if found.chosen is None:
        raise SystemExit(f"our own run chose nothing: {found.decision.distance}")
    contestants = start(project, loaded.main, datasets.calibration, found)
    try:
        samples = shuffled(datasets.validation)
        timed = [str(s.path) for s in samples[:TIMED_IMAGES]]
        for one in contestants:
            one.ask(do="time", samples=timed, seconds=seconds)
        for number in range(rounds):
            for offset in range(len(contestants)):
                one = contestants[(number + offset) % len(contestants)]
                time.sleep(PAUSE_S)
                one.rounds.append(one.ask(do="time", samples=timed, seconds=seconds, at_least=10)["latencies_ms"])
            print(f"  round {number + 1} of {rounds}", flush=True)
        predictions = {one.name: predict(one, samples, loaded.task.metric) for one in contestants}
    finally:
        for one in contestants:
            one.stop()
    ordered = type(datasets.validation)(
        datasets.validation.name, samples, datasets.validation.labelled, datasets.validation.digest
    )
    return results_of(contestants, predictions, ordered, loaded, found)


def start(project: Project, model: Any, calibration: Any, found: Any) -> list[Contestant]:
    folder = Path(tempfile.mkdtemp(prefix="edgewright-bench-"))
    listed = folder / "calibration.json"
    listed.write_text(json.dumps([str(s.path) for s in calibration.samples]))
    models = {
        "pytorch": project.model_spec().source if model.program else None,
        "onnxruntime": model.path,
        "openvino-nncf": model.path,
    }
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    contestants = []
    for name in ORDINARY:
        if models[name] is None:
            print(f"  {name} is left out: torch is not installed")
            continue
        print(f"  starting {name}", flush=True)
        argv = [sys.executable, "-m", "contestants.program", name, str(models[name]), str(listed)]
        contestants.append(Contestant(name, argv, env))
    ours = found.chosen
    argv = [sys.executable, "-m", "edgewright.device.worker", str(ours.folder)]
    env = {**os.environ, "PYTHONPATH": str(ours.folder / "app")}
    contestants.append(Contestant(f"edgewright ({ours.recipe.name})", argv, env))
    return contestants


def predict(one: Contestant, samples: Any, thresholds: Any) -> list[Any]:
    """Boxes for mAP. Ours writes them to a file, the others answer with them."""
    if not one.name.startswith("edgewright"):
        multi = bool(thresholds.get("multi_label", False))
        return list(one.ask(do="predict", samples=[str(s.path) for s in samples], multi_label=multi)["predictions"])
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
        listed = [{"id": s.id, "path": str(s.path)} for s in samples]
        one.ask(do="predict", samples=listed, thresholds="metric", out=out.name)
        lines = [json.loads(line) for line in Path(out.name).read_text().splitlines()]
    by_id = {line["id"]: line["prediction"] for line in lines}
    return [by_id[s.id] for s in samples]


def results_of(
    contestants: list[Contestant], predictions: dict[str, list[Any]], dataset: Any, loaded: Any, found: Any
) -> Any:
    """One row each: p50 and p95 with intervals, the ratio to every other, mAP with its interval."""
    task = tasks.get(loaded.task.kind)
    medians = {one.name: [float(np.median(r)) for r in one.rounds] for one in contestants}
    rows = []
    for one in contestants:
        p50 = statistics.over_rounds(one.rounds, lambda pooled: float(np.percentile(pooled, 50)))
        p95 = statistics.over_rounds(one.rounds, lambda pooled: float(np.percentile(pooled, 95)))
        score = task.score(dataset, predictions[one.name], loaded.task, "map50_95")
        metric = statistics.metric_interval(score, resamples=200)
        against = {
            other: statistics.paired_ratio(medians[other], medians[one.name]).to_json()
            for other in medians
            if other != one.name
        }
        rows.append(
            {
                "name": one.name,
                "p50_ms": p50.to_json(),
                "p95_ms": p95.to_json(),
                "map50_95": metric.to_json(),
                "map50": score.others.get("map50"),
                "times_as_fast_as": against,
            }
        )
    ours = rows[-1]
    return {
        "what": "YOLOv5n, 640×640, batch 1, decoded pixels in, boxes out",
        "machine": {
            "processor": found.facts.processor,
            "cores": found.facts.cores,
            "isa": list(found.facts.isa),
            "system": platform.platform(),
            "peaks_gflops": dict(found.facts.peaks),
        },
        "versions": dict(found.facts.runtimes),
        "rounds": len(contestants[0].rounds),
        "images": len(dataset.samples),
        "rows": rows,
        "ours_not_slower": all(ratio["high"] >= 1 for ratio in ours["times_as_fast_as"].values()),
    }


def table(results: dict[str, Any]) -> str:
    """The rows as text; `×` columns are how many times as fast as PyTorch (or as the first contestant)."""
    base = results["rows"][0]["name"]
    lines = [f"{'':34}{'p50 ms':>9}{'p95 ms':>9}{'× ' + base:>24}{'mAP50-95':>24}"]
    for row in results["rows"]:
        ratio = row["times_as_fast_as"].get(base, {"value": 1.0, "low": 1.0, "high": 1.0})
        times = f"{ratio['value']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"
        metric = row["map50_95"]
        shown = f"{metric['value']:.4f} ({metric['low']:.3f}–{metric['high']:.3f})"
        lines.append(
            f"{row['name']:34}{row['p50_ms']['value']:9.2f}{row['p95_ms']['value']:9.2f}{times:>24}{shown:>24}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
