"""Calibration data as a model's own feeds, prepared by the very files that run on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgewright
from edgewright.core.errors import InputError
from edgewright.core.recipe import Port
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.device import service

Feeds = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class _Unopened:
    """Stands where the engine will: a task's session only asks it for its ports before the first inference."""

    inputs: Sequence[dict[str, Any]]
    outputs: Sequence[dict[str, Any]]


class Calibration:
    """The first `limit` samples of a dataset as feeds by the graph's input names, each made when it is asked for."""

    def __init__(self, dataset: Dataset, task: TaskSpec, inputs: Sequence[Port], outputs: Sequence[Port], limit: int):
        self._samples = dataset.samples[:limit]
        self._inputs = inputs
        if not self._samples:
            raise InputError("There are no calibration samples.", "Give `data: {calibration: …}` a folder with files.")
        stand_in = _Unopened([_plain(port) for port in inputs], [_plain(port) for port in outputs])
        path = Path(edgewright.__file__).parent / "tasks" / task.kind / "ondevice.py"
        module = service.load_module(str(path), f"edgewright_task_{task.kind}")
        self._session = module.open(task.to_json(), {"main": stand_in}, "serve")

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Feeds]:
        return (self.feeds(sample) for sample in self._samples)

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    def feeds(self, sample: Sample) -> Feeds:
        """One sample as {input name: array of a batch of one}; arrays of its own."""
        try:
            by_role, _ = self._session.prepare(self._session.decode(str(sample.path)))
        except Exception as error:  # decoders raise what they like; the file is the user's
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"The calibration sample {sample.path} cannot be prepared: {reason}", "Remove or mend that file."
            ) from error
        missing = [port.role for port in self._inputs if port.role not in by_role]
        if missing:
            raise InputError(f"The calibration sample {sample.path} has no '{missing[0]}'.", "Mend that file.")
        return {port.name: np.array(by_role[port.role], dtype=port.dtype) for port in self._inputs}


def _plain(port: Port) -> dict[str, Any]:
    return {"role": port.role, "name": port.name, "dtype": port.dtype, "shape": list(port.shape)}
