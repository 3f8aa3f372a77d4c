"""Detection on the device: pixels in, boxes out. Shipped as `app/task.py` of a service folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from edgewright.device import draw as drawing
from edgewright.device import image, signals
from edgewright.device.steps import DetectorPostprocess, Preprocess

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def open(task: Mapping[str, Any], engines: Mapping[str, Any], thresholds: str) -> Session:
    return Session(task, engines, thresholds)


class Session:
    """One detector under one set of thresholds. A prediction is [[class, score, x1, y1, x2, y2], …]
    in pixels of the source image, best first."""

    def __init__(self, task: Mapping[str, Any], engines: Mapping[str, Any], thresholds: str) -> None:
        self._engine = engines.get("main") or next(iter(engines.values()))
        self._input = self._engine.inputs[0]["role"]
        self._labels = list(task.get("labels") or [])
        self._before = Preprocess(task["preprocess"])
        self._after = DetectorPostprocess(task["postprocess"], task[thresholds])

    def decode(self, path: str) -> Array:
        return image.decode_file(path)

    def prepare(self, sample: Array) -> Tuple[Dict[str, Array], Any]:
        array, geometry = self._before(sample)
        return {self._input: array}, geometry

    def infer(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._engine.run(feeds)  # type: ignore[no-any-return]

    def finish(self, outputs: Mapping[str, Array], context: Any) -> List[List[Any]]:
        return self._after(outputs, context)

    def run(self, sample: Array) -> List[List[Any]]:
        feeds, context = self.prepare(sample)
        return self.finish(self.infer(feeds), context)

    def reset(self) -> None:
        """A detector keeps nothing from one image to the next."""

    def draw(self, picture: Array, prediction: List[List[Any]]) -> Array:
        return drawing.draw_boxes(picture, prediction, self._labels)

    def signals(self, sample: Array, prediction: List[List[Any]]) -> Dict[str, float]:
        scores = [row[1] for row in prediction]
        return {
            **signals.of_pixels(sample),
            "detections": float(len(scores)),
            "top_confidence": max(scores) if scores else 0.0,
        }
