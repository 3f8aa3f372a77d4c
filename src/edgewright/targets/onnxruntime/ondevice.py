"""Runs an ONNX file in ONNX Runtime's CPU provider: what `app/engine.py` is on the device.

Engine contract: docs/architecture.md. Python >= 3.8, numpy and onnxruntime only.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_DTYPES = {"float": "float32", "float16": "float16", "double": "float64", "bool": "bool"}
_DTYPES.update({"%sint%d" % (sign, bits): "%sint%d" % (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)})
_PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
_INTEGER_OPERATORS = ("QLinear", "ConvInteger", "MatMulInteger", "QGemm", "QAttention", "DynamicQuantizeMatMul")
_MOVES = ("Transpose", "Cast", "ReorderInput", "ReorderOutput", "Reshape", "Identity")
_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def open(path: str, settings: Mapping[str, Any]) -> Engine:
    """An Engine for the ONNX file `path`.

    `settings`: threads, inter_threads, execution_mode ("sequential" | "parallel"), graph_optimisation
    ("all" | "extended" | "basic" | "off"), spinning (bool), batch (samples per call, where the graph
    leaves its first dimension open under the name `batch_dimension`).
    """
    return Engine(path, settings)


class Engine:
    """One session. Outputs are arrays of its own that the next `run` overwrites."""

    def __init__(self, path: str, settings: Mapping[str, Any]) -> None:
        import onnxruntime

        self._path, self._settings = path, dict(settings or {})
        self._session = self._open(session_options(self._settings))
        self.inputs = [_described(value) for value in self._session.get_inputs()]
        self.outputs = [_described(value) for value in self._session.get_outputs()]
        self._settle_batch()
        self.runtime = {"onnxruntime": onnxruntime.__version__}
        self._dtypes = {value["name"]: np.dtype(value["dtype"]) for value in self.inputs}
        self._names = [value["name"] for value in self.outputs]
        self._binding: Any = None
        self._bound: Dict[str, Array] = {}
        self._fixed = self._allocate()

    def _open(self, options: Any) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])

    def _settle_batch(self) -> None:
        """An open first dimension that the settings fixed is that number everywhere."""
        batch = self._settings.get("batch")
        if batch is None:
            return
        for value in self.inputs + self.outputs:
            if value["shape"] and value["shape"][0] is None and self._settings.get("batch_dimension"):
                value["shape"][0] = int(batch)
        first = [value["shape"][0] for value in self.inputs if value["shape"]]
        if int(batch) > 1 and any(n not in (None, int(batch)) for n in first):
            raise ValueError("This graph is made for a batch of %s, not %s." % (first[0], batch))

    def _allocate(self) -> Optional[Dict[str, Array]]:
        """The output arrays, where every shape is known before the first run.

        Bound once: `session.run` would hand out fresh memory each time, and touching 8 MB of fresh pages
        costs a small detector more than its head does."""
        shapes = [value["shape"] for value in self.inputs + self.outputs]
        if any(n is None for shape in shapes for n in shape):
            return None
        if any(value["dtype"] != "float32" for value in self.outputs):
            return None
        self._binding = self._session.io_binding()
        arrays = {value["name"]: np.zeros(value["shape"], dtype=np.float32) for value in self.outputs}
        for name, array in arrays.items():
            self._binding.bind_output(name, "cpu", 0, array.dtype, list(array.shape), array.ctypes.data)
        return arrays

    def run(self, feeds: Mapping[str, Array]) -> Dict[str, Array]:
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        ready = {name: np.ascontiguousarray(value, dtype=self._dtypes[name]) for name, value in feeds.items()}
        if self._fixed is None:
            results = self._session.run(self._names, ready)
            return {name: _plain(value) for name, value in zip(self._names, results)}
        for value in self.inputs:
            name, array = value["name"], ready[value["name"]]
            if list(array.shape) != value["shape"]:
                raise ValueError("Input %s is %s, not %s." % (name, list(array.shape), value["shape"]))
            bound = self._bound.get(name)
            if bound is None or bound.ctypes.data != array.ctypes.data:
                self._binding.bind_input(name, "cpu", 0, array.dtype, list(array.shape), array.ctypes.data)
            self._bound[name] = array  # keeps the memory alive that the session reads
        self._session.run_with_iobinding(self._binding)
        return dict(self._fixed)

    def executed(self) -> Dict[str, Any]:
        """What ran in which precision, by the session's own profiler on zeros. Conversions between the two count
        as fp32: they are work that a precision costs, not work done in it. Operators that only move or cast data are
        in no precision and are left out."""
        times: Dict[str, float] = {}
        counts: Dict[str, int] = {}
        found = self._measured(self._zeros(), 5)["operators"]
        for operator in [one for one in found if one["type"] not in _MOVES] or found:
            times[operator["dtype"]] = times.get(operator["dtype"], 0.0) + operator["duration_us"]
            counts[operator["dtype"]] = counts.get(operator["dtype"], 0) + 1
        total = sum(times.values()) or 1.0
        return {"precisions": {kind: value / total for kind, value in times.items()}, "ops": counts}

    def profile(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Operators, timeline and memory of `iterations` runs, in core.profile's terms."""
        found = self._measured(feeds, iterations)
        note = "Memory is estimated: the weights, and what the operator at work reads and writes."
        return dict(found, tool="onnxruntime", notes=[note])

    def close(self) -> None:
        self._binding = self._session = None
        self._bound = {}

    def _zeros(self) -> Dict[str, Array]:
        feeds = {}
        for value in self.inputs:
            shape = [n if n is not None else (1 if i == 0 else 8) for i, n in enumerate(value["shape"])]
            feeds[value["name"]] = np.zeros(shape, value["dtype"])
        return feeds

    def _measured(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Runs a second session with the profiler on and reads its events."""
        options = session_options(self._settings)
        options.enable_profiling = True
        ready = {name: np.ascontiguousarray(value, dtype=self._dtypes[name]) for name, value in feeds.items()}
        with tempfile.TemporaryDirectory() as folder:
            options.profile_file_prefix = os.path.join(folder, "profile")
            session = self._open(options)
            for _ in range(3 + max(1, iterations)):
                session.run(self._names, ready)
            path = session.end_profiling()
            with io_open(path) as file:
                events = json.load(file)
        weights = os.path.getsize(self._path)
        return read_events(events, weights)


def io_open(path: str) -> Any:
    """The built-in `open`, which the engine contract's own `open` hides here."""
    import builtins

    return builtins.open(path, encoding="utf-8")


def session_options(settings: Mapping[str, Any]) -> Any:
    """SessionOptions of a recipe's runtime settings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = int(settings.get("threads") or 0)
    options.inter_op_num_threads = int(settings.get("inter_threads") or 0)
    if settings.get("execution_mode") == "parallel":
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "basic": levels.ORT_ENABLE_BASIC,
        "off": levels.ORT_DISABLE_ALL,
    }[settings.get("graph_optimisation", "all")]
    spinning = "1" if settings.get("spinning", True) else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    if settings.get("batch_dimension"):
        options.add_free_dimension_override_by_name(settings["batch_dimension"], int(settings.get("batch") or 1))
    return options


def read_events(events: List[Dict[str, Any]], weights: int) -> Dict[str, List[Dict[str, Any]]]:
    """A profiler's events (its first three runs left out) as mean operators, the last run's timeline, and memory.

    Format: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html; times are microseconds.
    """
    runs = sorted((e for e in events if e.get("name") == "model_run"), key=lambda e: e["ts"])[3:]
    if not runs:
        return {"operators": [], "timeline": [], "memory": []}
    nodes = [e for e in events if e.get("cat") == "Node" and str(e.get("name")).endswith("_kernel_time")]
    nodes = sorted((e for e in nodes if e["ts"] >= runs[0]["ts"]), key=lambda e: e["ts"])
    operators: Dict[str, Dict[str, Any]] = {}
    for event in nodes:
        name = str(event["name"])[: -len("_kernel_time")]
        if name not in operators:
            operators[name] = _operator(name, event["args"])
        operators[name]["duration_us"] += event["dur"] / len(runs)
    start = runs[-1]["ts"]
    timeline, memory = [], [{"time_us": 0.0, "bytes": weights, "owner": "weights"}]
    for event in (e for e in nodes if e["ts"] >= start):
        name, arguments = str(event["name"])[: -len("_kernel_time")], event["args"]
        span = {"name": name, "category": arguments.get("op_name", ""), "start_us": float(event["ts"] - start)}
        timeline.append(dict(span, duration_us=float(event["dur"]), track="compute"))
        held = int(arguments.get("activation_size", 0) or 0) + int(arguments.get("output_size", 0) or 0)
        memory.append({"time_us": float(event["ts"] - start), "bytes": weights + held, "owner": name})
    return {"operators": list(operators.values()), "timeline": timeline, "memory": memory}


def _operator(name: str, arguments: Mapping[str, Any]) -> Dict[str, Any]:
    entering = [_typed(entry) for entry in arguments.get("input_type_shape", [])]
    leaving = [_typed(entry) for entry in arguments.get("output_type_shape", [])]
    kind = str(arguments.get("op_name", ""))
    return {
        "name": name or kind,
        "type": kind,
        "duration_us": 0.0,
        "calls": 1,
        "inputs": [shape for _, shape in entering],
        "outputs": [shape for _, shape in leaving],
        "dtype": _precision(kind, [dtype for dtype, _ in entering] or [dtype for dtype, _ in leaving]),
        "kernel": str(arguments.get("provider", "")),
        "nodes": [name] if name else [],
    }


def _typed(entry: Mapping[str, List[int]]) -> Any:
    dtype, shape = next(iter(entry.items()))
    return dtype, list(shape)


def _precision(kind: str, dtypes: List[str]) -> str:
    """The precision an operator computes in: integer operators by name, others by their first operand."""
    if kind in _CONVERSIONS:
        return "fp32"
    if kind.startswith(_INTEGER_OPERATORS):
        return "int8"
    first = dtypes[0] if dtypes else ""
    return _PRECISIONS.get(first, first)


def _described(value: Any) -> Dict[str, Any]:
    kind = value.type[len("tensor(") : -1] if value.type.startswith("tensor(") else value.type
    shape = [n if isinstance(n, int) else None for n in value.shape]
    return {"name": value.name, "dtype": _DTYPES.get(kind, kind), "shape": shape}


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float32)
    return np.ascontiguousarray(value)
