"""How well the committed detector does on scenes of handwriting it has never seen, as figures in `accuracy.json`.

    python examples/digits/evaluate.py                  # 3,000 scenes, a few minutes; writes accuracy.json
    python examples/digits/evaluate.py --scenes 300 --checkpoint other.pt --out other.json

The checkpoint is read without running anything in it, written as an ONNX graph, run in ONNX Runtime in fp32, and judged
by the detection task's own pre-processing, post-processing and mAP, as every candidate of a run is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scenes import DIGITS_PER_SCENE, SCENE_SIZE, SPLITS, write_dataset

HERE = Path(__file__).parent
RESAMPLES = 400


@dataclass(frozen=True)
class Figure:
    """A metric as a fraction of 1, with its 95 % bootstrap interval over scenes."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Accuracy:
    """What was found on `scenes` validation scenes that hold `digits` digits."""

    scenes: int
    digits: int
    map50: Figure
    map50_95: Figure


def evaluate(checkpoint: Path, data: Path, threads: int = 2) -> Accuracy:
    """Runs the checkpoint over the `val` scenes of a `data.yaml`."""
    from edgewright import sources, tasks
    from edgewright.core.config import DataSource
    from edgewright.core.model import ModelSpec
    from edgewright.targets.onnxruntime import ondevice as engine
    from edgewright.tasks.detection import ondevice as detector

    source, task = sources.get("yolov5"), tasks.get("detection")
    loaded = source.load(ModelSpec(source=str(checkpoint), inputs={"images": (1, 3, SCENE_SIZE, SCENE_SIZE)}))
    with tempfile.TemporaryDirectory() as folder:
        model = source.to_onnx(loaded, 17, Path(folder))["main"]
        spec = task.spec(model, {})
        dataset = task.dataset(DataSource(path=str(data), split="val"), spec, model, Path(folder))
        running = engine.open(str(model.path), {"threads": threads, "spinning": False})
        for port in running.inputs:
            port["role"] = port["name"]
        session = detector.open(spec.to_json(), {"main": running}, "metric")
        predictions = []
        for sample in dataset.samples:
            feeds, context = session.prepare(session.decode(str(sample.path)))
            predictions.append(session.finish(session.infer(feeds), context))
        running.close()
    scored = [task.score(dataset, predictions, spec, metric) for metric in ("map50", "map50_95")]
    digits = sum(len(sample.truth) for sample in dataset.samples)
    return Accuracy(len(dataset.samples), digits, *(_with_interval(score) for score in scored))


def _with_interval(score) -> Figure:
    """Percentile interval over scenes drawn again and again, as many as there are."""
    generator, count = np.random.default_rng(0), len(score)
    draws = [score.resample(generator.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(round(score.value, 4), round(float(low), 4), round(float(high), 4))


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge the digit detector on scenes it has never seen.")
    parser.add_argument("--checkpoint", type=Path, default=HERE / "digits.pt")
    parser.add_argument("--out", type=Path, default=HERE / "accuracy.json")
    parser.add_argument("--scenes", type=int, default=3000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = evaluate(given.checkpoint, write_dataset(Path(folder), {"val": given.scenes}))
    handwriting = {"train": SPLITS["train"].stop, "val": SPLITS["val"].stop - SPLITS["val"].start}
    text = {
        "metric": "mAP on scenes of held-out handwriting, fp32 in ONNX Runtime, confidence > 0.001, NMS IoU 0.6",
        "scene": {"size": SCENE_SIZE, "digits": list(DIGITS_PER_SCENE)},
        "handwriting": handwriting,
        "checkpoint_bytes": given.checkpoint.stat().st_size,
        "scenes": found.scenes,
        "digits": found.digits,
        "map50": vars(found.map50),
        "map50_95": vars(found.map50_95),
    }
    given.out.write_text(json.dumps(text, indent=1) + "\n")
    print(given.out.read_text(), end="")


if __name__ == "__main__":
    main()
