"""The null task on the device: arrays in, one number out. Shipped as `app/task.py` of a service folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, Tuple

import numpy as np

from edgewright.device import tensor_files

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def open(task: Mapping[str, Any], engines: Mapping[str, Any], thresholds: str) -> Session:
    return Session(engines)


class Session:
    """A prediction is {"mean": the mean of all outputs}."""

    def __init__(self, engines: Mapping[str, Any]) -> None:
        self._engine = engines.get("main") or next(iter(engines.values()))
        self._input = self._engine.inputs[0]["role"]

    def decode(self, path: str) -> Dict[str, Array]:
        return tensor_files.read(path)

    def prepare(self, sample: Mapping[str, Array]) -> Tuple[Dict[str, Array], Any]:
        return {self._input: next(iter(sample.values()))}, None

    def infer(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._engine.run(feeds)  # type: ignore[no-any-return]

    def finish(self, outputs: Mapping[str, Array], context: Any) -> Dict[str, float]:
        values = [float(np.mean(array)) for array in outputs.values()]
        return {"mean": round(sum(values) / max(1, len(values)), 6)}

    def run(self, sample: Mapping[str, Array]) -> Dict[str, float]:
        feeds, context = self.prepare(sample)
        return self.finish(self.infer(feeds), context)

    def reset(self) -> None:
        """Nothing is kept from one sample to the next."""

    def draw(self, picture: Array, prediction: Any) -> Array:
        return picture

    def signals(self, sample: Mapping[str, Array], prediction: Dict[str, float]) -> Dict[str, float]:
        return {"mean": prediction["mean"]}
