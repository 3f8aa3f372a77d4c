"""Classification on the device: pixels in, classes out. Shipped as `app/task.py` of a service folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from edgewright.device import draw as drawing
from edgewright.device import image, signals
from edgewright.device.steps import ClassifierPostprocess, Preprocess

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def open(task: Mapping[str, Any], engines: Mapping[str, Any], thresholds: str) -> Session:
    """A classifier has no thresholds: "serve" and "metric" are the same."""
    return Session(task, engines)


class Session:
    """One classifier. A prediction is [[class, probability], …], best first, at most five."""

    def __init__(self, task: Mapping[str, Any], engines: Mapping[str, Any]) -> None:
        self._engine = engines.get("main") or next(iter(engines.values()))
        self._input = self._engine.inputs[0]["role"]
        self._labels = list(task.get("labels") or [])
        self._before = Preprocess(task["preprocess"])
        self._after = ClassifierPostprocess(task["postprocess"])

    def decode(self, path: str) -> Array:
        return image.decode_file(path)

    def prepare(self, sample: Array) -> Tuple[Dict[str, Array], Any]:
        array, geometry = self._before(sample)
        return {self._input: array}, geometry

    def infer(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._engine.run(feeds)  # type: ignore[no-any-return]

    def finish(self, outputs: Mapping[str, Array], context: Any) -> List[List[Any]]:
        return self._after(outputs)

    def run(self, sample: Array) -> List[List[Any]]:
        feeds, context = self.prepare(sample)
        return self.finish(self.infer(feeds), context)

    def reset(self) -> None:
        """A classifier keeps nothing from one image to the next."""

    def draw(self, picture: Array, prediction: List[List[Any]]) -> Array:
        lines = [f"{self._name(kind)} {probability:.2f}" for kind, probability in prediction[:3]]
        return drawing.draw_lines(picture, lines)

    def signals(self, sample: Array, prediction: List[List[Any]]) -> Dict[str, float]:
        best = prediction[0] if prediction else [-1, 0.0]
        return {**signals.of_pixels(sample), "top_confidence": float(best[1]), "top_class": float(best[0])}

    def _name(self, kind: int) -> str:
        return self._labels[kind] if 0 <= kind < len(self._labels) else str(kind)
