"""Runs an .om on an Ascend device over AscendCL: what `app/engine.py` is on the device.

Engine contract: docs/architecture.md. Python >= 3.8 and numpy only; the library is bound by ctypes, without pyACL.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgewright.device.acl import AclError
from edgewright.device.acl_device import Device
from edgewright.device.acl_model import Model, Tensor, described
from edgewright.device.aclprof import Collection
from edgewright.device.ascend_profile import account
from edgewright.device.cann_version import version
from edgewright.device.msprof_table import Row, precisions
from edgewright.device.service import ServiceError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

WARM, RUNS = 2, 5
"""Runs before the profiler starts, and runs by which `executed` judges."""


def open(path: str, settings: Mapping[str, Any]) -> Engine:
    """An Engine for the model `path` (.om).

    `settings`: device (number, 0), inputs and outputs (the ONNX model's names, in its order; an .om calls its outputs
    `node:index:name`), library (the AscendCL library or its folder, where LD_LIBRARY_PATH does not name it).
    """
    return Engine(path, settings)


class Engine:
    """One loaded .om. Outputs are arrays over its memory, which the next `run` overwrites and `close` takes away."""

    def __init__(self, path: str, settings: Mapping[str, Any]) -> None:
        self._lock = threading.RLock()
        self._path, self._library = path, str(settings.get("library") or "")
        self._executed: Optional[Dict[str, Any]] = None
        self._device = Device.opened(int(settings.get("device") or 0), self._library)
        try:
            self._model = Model(self._device, path)
            tensors = self._model.inputs, self._model.outputs
            self._names = _input_names(tensors[0], list(settings.get("inputs") or []))
            self._results = _output_places(tensors[1], list(settings.get("outputs") or []))
        except BaseException:
            self._device.close()
            raise
        self.inputs = described(tensors[0], self._names)
        self.outputs = described([tensors[1][i] for i in self._results.values()], list(self._results))
        self.runtime = {"cann": version(self._device.library)}
        self._open = True
        atexit.register(self.close)

    def run(self, feeds: Mapping[str, Array]) -> Dict[str, Array]:
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous. Any thread may call it."""
        with self._lock:
            self._enter()
            results = self._model.run(self._ordered(feeds))
            return {name: results[i] for name, i in self._results.items()}

    def phases(self) -> Dict[str, float]:
        """Microseconds of the last run: host_to_device (writing the inputs), execute, device_to_host."""
        return dict(self._model.phases)

    def memory(self) -> Dict[str, int]:
        """Device memory in bytes: the model's weights and working memory (aclmdlQuerySize), and the buffers."""
        model = self._model
        parts = {"weight_bytes": model.weight_bytes, "work_bytes": model.work_bytes, "buffer_bytes": model.buffer_bytes}
        return dict(parts, device_bytes=sum(parts.values()))

    def executed(self) -> Dict[str, Any]:
        """What the device really ran in which precision, from its profiler, on zeros: by the input types of the
        operators that compute. Where no table of the profile can be had, nothing is said but why, in "notes"."""
        with self._lock:
            if self._executed is None:
                shapes = self._model.gears.shapes(self._model.inputs)
                feeds = [np.zeros(shape, tensor.dtype) for tensor, shape in zip(self._model.inputs, shapes)]
                rows, notes = self._measured(feeds, RUNS)[:2]
                self._executed = dict(precisions(rows), notes=notes)
            return self._executed

    def profile(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Operators, timeline and memory of `iterations` runs, in core.profile's terms."""
        with self._lock:
            self._enter()
            rows, notes, phases = self._measured(self._ordered(feeds), max(1, iterations))
        return account(rows, notes, phases, max(1, iterations), self.memory())

    def _measured(self, feeds: Sequence[Array], runs: int) -> Tuple[List[Row], List[str], Dict[str, float]]:
        """Rows of the profiler over `runs` runs (none where it cannot be had), why, and the mean phases in µs.

        The model is loaded once more inside the profiler's session, as the vendor's samples do: whether the operators
        of one that was loaded before are named is not confirmed.
        """
        self._enter()
        notes: List[str] = []
        rows: List[Row] = []
        phases: Dict[str, float] = {}
        try:
            with Collection(self._device) as collection:
                with self._another(notes) as model:
                    for _ in range(WARM):
                        model.run(feeds)
                    with collection.running():
                        phases = _mean_phases(model, feeds, runs)
                rows = collection.rows()
        except ServiceError as error:
            notes.append("No operator is known: %s %s" % (error.message, error.remedy))
        if not phases:
            phases = _mean_phases(self._model, feeds, runs)
        return rows, notes, phases

    @contextlib.contextmanager
    def _another(self, notes: List[str]) -> Iterator[Model]:
        """The model loaded a second time; where the device has no room for that, the one that is there."""
        device = Device.opened(self._device.number, self._library)
        try:
            try:
                model = Model(device, self._path)
            except AclError as error:
                notes.append("Profiled without loading the model again: %s" % error.message)
                self._enter()
                model = self._model
            yield model
        finally:
            device.close()
            self._device.enter()

    def close(self) -> None:
        """Releases everything in the vendor's order; a second call does nothing."""
        with self._lock:
            if self._open:
                self._open = False
                atexit.unregister(self.close)
                self._device.close()

    def _enter(self) -> None:
        if not self._open:
            raise AclError("The engine is closed.", "Open the model again.")
        self._device.enter()

    def _ordered(self, feeds: Mapping[str, Array]) -> List[Array]:
        unknown = sorted(set(feeds) - set(self._names))
        missing = [name for name in self._names if name not in feeds]
        if unknown or missing:
            raise AclError(
                "The model has no input '%s'." % unknown[0] if unknown else "Input '%s' is missing." % missing[0],
                "Feed: %s." % ", ".join(self._names),
            )
        return [_fitting(t, name, np.asarray(feeds[name])) for t, name in zip(self._model.inputs, self._names)]


def _mean_phases(model: Model, feeds: Sequence[Array], runs: int) -> Dict[str, float]:
    """Microseconds of host_to_device, execute and device_to_host, a run."""
    totals: Dict[str, float] = {}
    for _ in range(runs):
        model.run(feeds)
        for phase, micros in model.phases.items():
            totals[phase] = totals.get(phase, 0.0) + micros / runs
    return totals


def _fitting(tensor: Tensor, name: str, feed: Array) -> Array:
    """The feed, if its shape and type are the input's; copying converts between numbers of one kind."""
    right = len(feed.shape) == len(tensor.shape) and all(n in (None, m) for n, m in zip(tensor.shape, feed.shape))
    if not right or not np.can_cast(feed.dtype, tensor.dtype, "same_kind"):
        raise AclError(
            "Input '%s' was fed %s %s." % (name, feed.dtype, list(feed.shape)),
            "It takes %s %s." % (tensor.dtype, [-1 if n is None else n for n in tensor.shape]),
        )
    return feed


def _input_names(tensors: Sequence[Tensor], wanted: List[str]) -> List[str]:
    """The name of every input in the .om's order: its own, or the one at its place where names were told."""
    own = [tensor.name for tensor in tensors]
    if not wanted or set(wanted) == set(own):
        return own
    if len(wanted) != len(own):
        raise _mismatch("input", wanted, own)
    return wanted


def _output_places(tensors: Sequence[Tensor], wanted: List[str]) -> Dict[str, int]:
    """ONNX output name → index in the .om. By the suffix of `node:index:name`; what has none, by its place among the
    rest when the counts agree. Without names told, the suffixes themselves."""
    own = [tensor.name for tensor in tensors]
    if not wanted:
        names = [_suffix(name) for name in own]
        return dict(zip(names if len(set(names)) == len(names) else own, range(len(own))))
    places: Dict[str, int] = {}
    for name in wanted:
        fits = [i for i, full in enumerate(own) if full == name or full.endswith(":" + name)]
        if len(fits) == 1 and fits[0] not in places.values():
            places[name] = fits[0]
    if len(places) < len(wanted):
        if len(wanted) != len(own):
            raise _mismatch("output", wanted, own)
        free = [i for i in range(len(own)) if i not in places.values()]
        places.update(zip([name for name in wanted if name not in places], free))
    return {name: places[name] for name in wanted}


def _suffix(name: str) -> str:
    found = re.match(r"^.+?:\d+:(.+)$", name)
    return found.group(1) if found else name


def _mismatch(kind: str, wanted: Sequence[str], own: Sequence[str]) -> AclError:
    return AclError(
        "The service names the %ss %s, the .om has %s." % (kind, ", ".join(wanted), ", ".join(own)),
        "Build the service again from the model that this .om was made of.",
    )
