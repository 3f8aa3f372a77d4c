"""A service folder, opened: its engines by role and its task, ready to predict.

`service.json` is core.recipe.ServiceSpec as JSON; `app/engine.py` and `app/task.py` are loaded by
path. The same code runs in the check, in the golden replay and in the agent.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Feeds = Mapping[str, Array]

FORMAT = 1
PHASES = ("preprocess", "compute", "postprocess")


class ServiceError(RuntimeError):
    """A service folder that cannot be used: `message` and `remedy`."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class RoleEngine:
    """An engine that is spoken to by roles: `.run({role: array}) -> {role: array}`.

    The arrays given back may be overwritten by the next `run`. `.batch` is the first dimension that
    the artefact was built for, None where it takes any.
    """

    def __init__(self, engine: Any, spec: Mapping[str, Any]) -> None:
        self.engine = engine
        self.inputs = _ports(spec.get("inputs"), engine.inputs)
        self.outputs = _ports(spec.get("outputs"), engine.outputs)
        self._in = {port["role"]: port["name"] for port in self.inputs}
        self._out = {port["name"]: port["role"] for port in self.outputs}
        self._dtypes = {port["role"]: np.dtype(port["dtype"]) for port in self.inputs}
        first: Sequence[Any] = self.inputs[0]["shape"] if self.inputs else []
        self.batch: Optional[int] = first[0] if len(first) and isinstance(first[0], int) else None

    def named(self, feeds: Feeds) -> Dict[str, Array]:
        """Feeds by role → feeds by the artefact's own input names. ServiceError names what is missing."""
        missing = sorted(set(self._in) - set(feeds))
        if missing:
            raise ServiceError(
                f"The sample has no input '{missing[0]}'.", f"The service needs: {', '.join(sorted(self._in))}."
            )
        named = {}
        for role, name in self._in.items():
            array = np.asarray(feeds[role])
            named[name] = array if array.dtype == self._dtypes[role] else array.astype(self._dtypes[role])
        return named

    def run(self, feeds: Feeds) -> Dict[str, Array]:
        results = self.engine.run(self.named(feeds))
        return {role: results[name] for name, role in self._out.items() if name in results}


def _ports(declared: Any, found: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The ports of `service.json`; without any, the engine's own, each its own role."""
    return [dict(p) for p in declared] if declared else [dict(p, role=p["name"]) for p in found]


class Service:
    """One service folder in this process.

    `spec` is service.json; `engines` maps roles to RoleEngines; `batch` is samples per call.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self.spec = read_spec(self.folder)
        module = load_module(os.path.join(self.folder, "app", "engine.py"), "edgewright_engine")
        self.engines: Dict[str, RoleEngine] = {}
        for role, entry in self.spec["engines"].items():
            path = inside(self.folder, entry["path"])
            self.engines[role] = RoleEngine(module.open(path, dict(entry.get("settings") or {})), entry)
        self._task = load_module(os.path.join(self.folder, "app", "task.py"), "edgewright_task")
        self._sessions: Dict[str, Any] = {}
        self._stacks: Dict[Tuple[str, int], Array] = {}
        self.batch = max(1, int(self.spec.get("batch") or 1))

    @property
    def main(self) -> RoleEngine:
        """The engine called "main", or the first."""
        return self.engines.get("main") or next(iter(self.engines.values()))

    def session(self, thresholds: str = "serve") -> Any:
        """The task's Session under one set of thresholds ("serve" or "metric"); the same one each time."""
        if thresholds not in ("serve", "metric"):
            raise ServiceError(f"There are no '{thresholds}' thresholds.", "Known: serve, metric.")
        if thresholds not in self._sessions:
            self._sessions[thresholds] = self._task.open(self.spec["task"], self.engines, thresholds)
        return self._sessions[thresholds]

    def predict(self, session: Any, samples: Sequence[Any]) -> Tuple[List[Any], Tuple[float, float, float]]:
        """Predictions of decoded samples in one engine call, and the seconds of the three phases."""
        outputs, contexts, (start, prepared, computed) = self.infer(session, samples)
        predictions = [session.finish(one, context) for one, context in zip(outputs, contexts)]
        done = time.perf_counter()
        return predictions, (prepared - start, computed - prepared, done - computed)

    def infer(self, session: Any, samples: Sequence[Any]) -> Tuple[List[Any], List[Any], Tuple[float, float, float]]:
        """Outputs and contexts per sample, with the clock at start, after `prepare` and after `infer`."""
        start = time.perf_counter()
        feeds, contexts = self.feeds(session, samples)
        prepared = time.perf_counter()
        results = session.infer(feeds)
        computed = time.perf_counter()
        outputs = [results] if self._size(samples) == 1 else self.split(results, len(samples))
        return outputs, contexts, (start, prepared, computed)

    def _size(self, samples: Sequence[Any]) -> int:
        """How many samples the engine will be given: a service built for a batch always gets it whole."""
        fixed = self.main.batch if self.batch > 1 else None
        return max(fixed or 1, len(samples))

    def feeds(self, session: Any, samples: Sequence[Any]) -> Tuple[Feeds, List[Any]]:
        """Feeds by role for the samples, stacked along axis 0, and one context per sample.

        A single sample for an engine of batch 1 (or of any batch) is handed on as it is. A fixed
        batch larger than the samples is filled up with the last one.
        """
        size = self._size(samples)
        if size == 1:
            feeds, context = session.prepare(samples[0])
            return feeds, [context]
        contexts: List[Any] = []
        stacked: Dict[str, Array] = {}
        for k, sample in enumerate(samples):
            one, context = session.prepare(sample)
            contexts.append(context)
            for role, array in one.items():
                stacked[role] = self._stack(role, size, array)
                stacked[role][k] = array[0]  # copied at once: `prepare` writes into the same array each time
        for stack in stacked.values():
            stack[len(samples) :] = stack[len(samples) - 1]
        return stacked, contexts

    def _stack(self, role: str, size: int, array: Array) -> Array:
        if array.ndim == 0 or array.shape[0] != 1:
            raise ServiceError(f"Input '{role}' has no batch axis of one.", "Use batch 1 for this model.")
        kept = self._stacks.get((role, size))
        if kept is None or kept.shape[1:] != array.shape[1:] or kept.dtype != array.dtype:
            kept = self._stacks[role, size] = np.empty((size, *array.shape[1:]), array.dtype)
        return kept

    @staticmethod
    def split(results: Feeds, count: int) -> List[Dict[str, Array]]:
        """Batched outputs by role → one dict per sample, each with a batch axis of one."""
        for role, array in results.items():
            if array.ndim == 0 or array.shape[0] < count:
                raise ServiceError(f"Output '{role}' has no batch axis.", "Use batch 1 for this model.")
        return [{role: array[k : k + 1] for role, array in results.items()} for k in range(count)]

    def runtime(self) -> Dict[str, str]:
        """Versions of what runs here, by distribution."""
        import platform

        found = {"python": platform.python_version(), "numpy": np.__version__}
        for engine in self.engines.values():
            found.update(getattr(engine.engine, "runtime", None) or {})
        return found

    def close(self) -> None:
        for engine in self.engines.values():
            engine.engine.close()


def read_spec(folder: str) -> Dict[str, Any]:
    """`service.json`, checked as far as this program relies on it. Raises ServiceError."""
    path = os.path.join(folder, "service.json")
    try:
        with open(path, encoding="utf-8") as file:
            spec = json.loads(file.read(64 << 20))
    except (OSError, ValueError) as error:
        raise ServiceError(f"{path} cannot be read: {error}.", "Give the folder of a built service.") from None
    whole = isinstance(spec, dict) and isinstance(spec.get("engines"), dict) and isinstance(spec.get("task"), dict)
    if not whole or not spec["engines"] or spec.get("format", FORMAT) != FORMAT:
        raise ServiceError(f"{path} is no service description of format {FORMAT}.", "Build the service again.")
    return dict(spec)


def inside(folder: str, relative: str) -> str:
    """The absolute path of a file of the folder; ServiceError where it would lead out of it."""
    path = os.path.normpath(os.path.join(folder, relative))
    if os.path.isabs(relative) or not path.startswith(os.path.normpath(folder) + os.sep):
        raise ServiceError(f"{relative!r} is outside the service folder.", "Build the service again.")
    return path


def load_module(path: str, name: str) -> ModuleType:
    """A Python file as a module. Raises ServiceError where it is not there."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ServiceError(f"{path} is missing.", "Build the service again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
