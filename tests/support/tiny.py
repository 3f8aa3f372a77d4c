"""A service folder so small that it starts at once: a "detector" that finds one box whose score and
place depend on the picture. What it does wrong is written in `model/model.json`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import edgewright
from edgewright.core.recipe import Artifact, Recipe, ServiceSpec
from edgewright.core.task import Dataset, Sample
from edgewright.core.verdict import Decision
from edgewright.device.durable import sha256_of

PACKAGE = Path(edgewright.__file__).parent

ENGINE = """
import json, time
import numpy as np

def open(path, settings):
    return Engine(path)

class Engine:
    def __init__(self, path):
        import builtins, os, sys
        with builtins.open(path) as file:
            self.model = json.load(file)
        if self.model.get("crash_in_agent") and "--status-fd" in sys.argv:
            os._exit(9)
        if "--status-fd" in sys.argv:
            self.misbehave(os.getcwd())
        self.opened, self.served = time.monotonic(), "--status-fd" in sys.argv
        if self.served:
            if os.path.exists(self.model.get("crash_if", "")):
                os._exit(9)
            if self.model.get("die_after_s"):
                import threading
                threading.Timer(self.model["die_after_s"], os._exit, [9]).start()
        if self.model.get("refuse"):
            raise RuntimeError(self.model["refuse"])
        self.ballast = bytearray(int(self.model.get("ballast_mb", 0)) << 20)
        for index in range(0, len(self.ballast), 4096):
            self.ballast[index] = 1
        self.inputs = [{"name": "x", "dtype": "float32", "shape": [1, 3, None, None]}]
        self.outputs = [{"name": "y", "dtype": "float32", "shape": [1, 6]}]
        self.runtime = {"numpy": np.__version__}

    def misbehave(self, folder):
        import builtins, os, threading
        model = self.model
        if model.get("hang_in_agent"):
            time.sleep(3600)
        time.sleep(model.get("load_in_agent_s", 0))
        if model.get("needs_file") and not os.path.exists(model["needs_file"]):
            os._exit(8)
        def later():
            time.sleep(model.get("crash_after_s") or model["crash_once_after_s"])
            if model.get("crash_once_after_s"):
                try:
                    builtins.open(os.path.join(folder, "..", "..", "run", "crashed"), "x").close()
                except FileExistsError:
                    return
            os._exit(7)
        def cap():
            import resource
            with builtins.open("/proc/self/statm") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (model["cap_mb"] << 20),) * 2)
        def leak():
            while True:
                try:
                    piece = bytearray(model["leak_mb_s"] << 18)
                except MemoryError:
                    os.kill(os.getpid(), 9)
                for index in range(0, len(piece), 4096):
                    piece[index] = 1
                self.leaked.append(piece)
                time.sleep(0.25)
        if "crash_after_s" in model or "crash_once_after_s" in model:
            threading.Thread(target=later, daemon=True).start()
        if model.get("leak_mb_s"):
            self.leaked = []
            if model.get("cap_mb"):
                cap()
            threading.Thread(target=leak, daemon=True).start()

    def run(self, feeds):
        x = feeds["x"]
        if self.model.get("hang_on_black") and not x.any():
            time.sleep(3600)
        time.sleep(self.model.get("delay_ms", 0) / 1000)
        if "slow_after_s" in self.model and time.monotonic() - self.opened > self.model["slow_after_s"] and self.served:
            time.sleep(0.15)
        if self.model.get("fail_on_black") and not x.any():
            raise RuntimeError("the kernel failed")
        score = self.model.get("score", 0.5) + 0.4 * float(x.mean()) / 255
        h, w = x.shape[2:]
        return {"y": np.array([[self.model.get("class", 1), score, 1, 1, w - 1, h - 1]], np.float32)}

    def executed(self):
        return {"precisions": {"float32": 1.0}, "ops": {"float32": 1}}

    def close(self):
        pass
"""

TASK = """
import numpy as np
from edgewright.device import image, signals

def open(task, engines, thresholds):
    return Session(task, engines["main"])

class Session:
    def __init__(self, task, engine):
        self.engine = engine
        self.tensors = not task["preprocess"]

    def decode(self, path):
        if path.endswith(".npz"):
            return dict(np.load(path))
        return image.decode_file(path)

    def prepare(self, sample):
        if self.tensors:
            return {"x": sample["x"]}, None
        return {"x": sample.transpose(2, 0, 1)[None].astype(np.float32)}, sample.shape

    def infer(self, feeds):
        return self.engine.run(feeds)

    def finish(self, outputs, context):
        return [[int(row[0])] + [round(float(v), 4) for v in row[1:]] for row in outputs["y"]]

    def run(self, sample):
        feeds, context = self.prepare(sample)
        return self.finish(self.infer(feeds), context)

    def reset(self):
        pass

    def draw(self, picture, prediction):
        out = picture.copy()
        out[:2] = 255
        return out

    def signals(self, sample, prediction):
        if self.tensors:
            return {"detections": len(prediction)}
        return dict(signals.of_pixels(sample), detections=len(prediction), top_confidence=prediction[0][1])
"""


def service(folder: Path, images: bool = True, **model: Any) -> Path:
    """Writes a service folder; the keywords go into model.json (delay_ms, score, refuse, …)."""
    device = folder / "app" / "edgewright" / "device"
    device.mkdir(parents=True)
    shutil.copyfile(PACKAGE / "__init__.py", folder / "app" / "edgewright" / "__init__.py")
    for source in (PACKAGE / "device").glob("*.py"):
        shutil.copyfile(source, device / source.name)
    (folder / "app" / "engine.py").write_text(ENGINE)
    (folder / "app" / "task.py").write_text(TASK)
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text(json.dumps(model))
    port = {"role": "x", "name": "x", "dtype": "float32", "shape": [1, 3, None, None]}
    spec = {
        "name": "tiny-fp32", "family": "tiny", "precision": "fp32", "batch": 1, "format": 1, "simulated": True,
        "task": {
            "kind": "detection" if images else "tensors",
            "preprocess": [{"kind": "layout", "params": {"to": "NCHW"}}] if images else [],
            "postprocess": [], "labels": ["cat", "dog"], "serve": {"confidence": 0.25}, "metric": {}, "notes": [],
        },
        "engines": {"main": {
            "path": "model/model.json", "settings": {}, "inputs": [port],
            "outputs": [{"role": "y", "name": "y", "dtype": "float32", "shape": [1, 6]}],
        }},
    }  # fmt: skip
    (folder / "service.json").write_text(json.dumps(spec, sort_keys=True, indent=1))
    return folder


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (24, 32)) -> Path:
    """A PNG of smooth noise."""
    import cv2

    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def artifact(folder: Path, **model: Any) -> Artifact:
    """A built candidate as the pipeline knows it."""
    service(folder, **model)
    files = {p.relative_to(folder).as_posix(): sha256_of(str(p)) for p in sorted(folder.rglob("*")) if p.is_file()}
    spec = ServiceSpec.from_json(json.loads((folder / "service.json").read_text()))
    return Artifact(Recipe("tiny-fp32", "tiny", "fp32"), folder, files, spec, sum(map(len, files)), 0.1)


def dataset(folder: Path, count: int = 12) -> Dataset:
    samples = tuple(Sample(f"{n:03d}", picture(folder / f"{n:03d}.png", n)) for n in range(count))
    return Dataset("noise", samples, False, f"noise-{count}")


DECISION = Decision("local", "pass", "tiny-fp32", ("tiny-fp32 is chosen for latency: 0.10 ms.",), simulated=True)
