"""Tensors on the device: arrays in, arrays out. Shipped as `app/task.py` of a service folder."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Dict, Mapping, Tuple

import numpy as np

from edgewright.device import tensor_files

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def open(task: Mapping[str, Any], engines: Mapping[str, Any], thresholds: str) -> Session:
    """Tensors have no thresholds: "serve" and "metric" are the same."""
    return Session(engines)


class Session:
    """Any model. A sample is one array per input, a prediction {"outputs": {role: summary}}; `save`
    writes whole outputs to a file instead."""

    def __init__(self, engines: Mapping[str, Any]) -> None:
        self._engine = engines.get("main") or next(iter(engines.values()))
        self._roles = [port["role"] for port in self._engine.inputs]

    def decode(self, path: str) -> Dict[str, Array]:
        return tensor_files.read(path)

    def prepare(self, sample: Mapping[str, Array]) -> Tuple[Dict[str, Array], Any]:
        if len(sample) == len(self._roles) == 1:  # a lone array goes to the only input, whatever its name
            return {self._roles[0]: next(iter(sample.values()))}, None
        return dict(sample), None

    def infer(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._engine.run(feeds)  # type: ignore[no-any-return]

    def finish(self, outputs: Mapping[str, Array], context: Any) -> Dict[str, Any]:
        return {"outputs": {role: tensor_files.summary(array) for role, array in outputs.items()}}

    def save(self, outputs: Mapping[str, Array], context: Any, folder: str, name: str) -> Dict[str, str]:
        """The outputs as a .npz in `folder`; the prediction is its relative name."""
        relative = re.sub(r"[^\w.-]", "_", name) + ".npz"
        tensor_files.write(os.path.join(folder, relative), outputs)
        return {"file": relative}

    def run(self, sample: Mapping[str, Array]) -> Dict[str, Any]:
        feeds, context = self.prepare(sample)
        return self.finish(self.infer(feeds), context)

    def reset(self) -> None:
        """Nothing is kept from one sample to the next."""

    def draw(self, picture: Array, prediction: Any) -> Array:
        return picture

    def signals(self, sample: Mapping[str, Array], prediction: Any) -> Dict[str, float]:
        """The mean of each floating input, the valid length of each integer one, the mean of each output."""
        found = {}
        for role, array in sample.items():
            values = np.asarray(array)
            number = values.mean() if values.dtype.kind == "f" and values.size else np.count_nonzero(values)
            found["input." + role] = round(float(number), 6)
        for role, told in prediction["outputs"].items():
            if "mean" in told:
                found["output." + role] = told["mean"]
        return found
