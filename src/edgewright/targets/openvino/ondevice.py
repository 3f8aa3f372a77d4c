"""Runs an OpenVINO IR on the CPU plugin: what `app/engine.py` is on the device.

Engine contract: docs/architecture.md. Python >= 3.8, numpy and openvino only.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_DTYPES = {"f32": "float32", "f16": "float16", "f64": "float64", "bf16": "bfloat16", "boolean": "bool"}
_DTYPES.update({"i%d" % bits: "int%d" % bits for bits in (8, 16, 32, 64)})
_DTYPES.update({"u%d" % bits: "uint%d" % bits for bits in (8, 16, 32, 64)})
_PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "u8": "int8", "i8": "int8"}
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "u8": 1, "i8": 1, "i32": 4, "i64": 8, "f64": 8, "boolean": 1}
_FACTS = (
    "layerType",
    "runtimePrecision",
    "outputPrecisions",
    "primitiveType",
    "originalLayersNames",
    "execOrder",
)
_MOVES = ("Transpose", "Reorder", "Convert", "Reshape")
_BOUNDARY = ("Input", "Output", "Const", "Parameter", "Result", "Constant")


def open(path: str, settings: Mapping[str, Any]) -> Engine:
    """An Engine for the model `path` (.xml beside its .bin, or .onnx).

    `settings`: threads, streams, hint ("latency" | "throughput"), inference_precision ("f32" | "bf16" |
    "f16"; without it the plugin chooses, bf16 where the CPU has it), pinning (bool), batch (samples per call).
    """
    return Engine(path, settings)


class Engine:
    """One compiled model and one infer request. Outputs are arrays of its own that the next `run` overwrites."""

    def __init__(self, path: str, settings: Mapping[str, Any]) -> None:
        openvino = _openvino()
        self._tensor = openvino.Tensor
        self._core = openvino.Core()
        self._path, self._settings = path, dict(settings or {})
        self._compiled = self._compile({})
        self._request = self._compiled.create_infer_request()
        self.inputs = [_described(port) for port in self._compiled.inputs]
        self.outputs = [_described(port) for port in self._compiled.outputs]
        self.runtime = {"openvino": openvino.__version__.split("-")[0]}
        self._index = {value["name"]: i for i, value in enumerate(self.inputs)}
        self._dtypes = [np.dtype(value["dtype"]) for value in self.inputs]
        self._bound: List[Any] = [None] * len(self.inputs)
        self._fixed = self._allocate()

    def _compile(self, more: Mapping[str, Any]) -> Any:
        network = self._core.read_model(self._path)
        batch = int(self._settings.get("batch") or 1)
        if batch > 1:
            network.reshape({port: [batch] + list(port.get_partial_shape())[1:] for port in network.inputs})
        return self._core.compile_model(network, "CPU", dict(configuration(self._settings), **more))

    def _allocate(self) -> Optional[Dict[str, Array]]:
        """Output arrays bound to the request once, where the shapes are fixed, so that no run copies its results."""
        if any(n is None for value in self.inputs + self.outputs for n in value["shape"]):
            return None
        if any(value["dtype"] != "float32" for value in self.outputs):
            return None
        arrays = {}
        for i, value in enumerate(self.outputs):
            arrays[value["name"]] = np.zeros(value["shape"], dtype=np.float32)
            self._request.set_output_tensor(i, self._tensor(arrays[value["name"]], shared_memory=True))
        return arrays

    def run(self, feeds: Mapping[str, Array]) -> Dict[str, Array]:
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        for name, value in feeds.items():
            i = self._index[name]
            value = np.require(value, dtype=self._dtypes[i], requirements=("C", "W"))  # shared memory must be writeable
            bound = self._bound[i]
            if bound is None or bound.ctypes.data != value.ctypes.data or bound.shape != value.shape:
                self._request.set_input_tensor(i, self._tensor(value, shared_memory=True))
            self._bound[i] = value  # keeps the memory alive that the request reads
        self._request.infer()
        if self._fixed is not None:
            return dict(self._fixed)
        return {value["name"]: _plain(self._request.get_output_tensor(i).data) for i, value in enumerate(self.outputs)}

    def executed(self) -> Dict[str, Any]:
        """What the plugin really ran, from its execution graph and performance counters, on zeros. Operators that only
        move or convert data are in no precision and are left out."""
        feeds = {value["name"]: np.zeros([n or 8 for n in value["shape"]], value["dtype"]) for value in self.inputs}
        for value in self.inputs:
            if value["shape"] and value["shape"][0] is None:
                feeds[value["name"]] = feeds[value["name"]][:1]
        found, _ = _measured(self._compile({"PERF_COUNT": True}), feeds, 5)
        operators = [operator for operator in found if operator["type"] not in _MOVES] or found
        times: Dict[str, float] = {}
        counts: Dict[str, int] = {}
        for operator in operators:
            times[operator["dtype"]] = times.get(operator["dtype"], 0.0) + operator["duration_us"]
            counts[operator["dtype"]] = counts.get(operator["dtype"], 0) + 1
        total = sum(times.values()) or 1.0
        return {"precisions": {kind: value / total for kind, value in times.items()}, "ops": counts}

    def profile(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Operators, timeline and memory of `iterations` runs, in core.profile's terms."""
        compiled = self._compile({"PERF_COUNT": True})
        operators, graph = _measured(compiled, feeds, iterations)
        return {
            "tool": "openvino",
            "operators": operators,
            "timeline": _timeline(operators),
            "memory": _memory(graph, operators),
            "notes": [
                "OpenVINO gives each operator's time but not its start: operators are laid end to end in order of "
                "execution.",
                "Memory is estimated from shapes and the order of execution: constants, and every result until its "
                "last reader.",
            ],
        }

    def close(self) -> None:
        self._request = self._compiled = None
        self._bound = []


def _openvino() -> Any:
    """The openvino package, with the telemetry it would otherwise load kept out of the process."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def configuration(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """The plugin's properties for a recipe's runtime settings. Nothing is cached on disk."""
    properties: Dict[str, Any] = {"PERFORMANCE_HINT": str(settings.get("hint", "latency")).upper()}
    if settings.get("threads"):
        properties["INFERENCE_NUM_THREADS"] = int(settings["threads"])
    if settings.get("streams"):
        properties["NUM_STREAMS"] = str(settings["streams"])
    if settings.get("inference_precision"):
        properties["INFERENCE_PRECISION_HINT"] = settings["inference_precision"]
    if settings.get("pinning") is not None:
        properties["ENABLE_CPU_PINNING"] = bool(settings["pinning"])
    return properties


def _described(port: Any) -> Dict[str, Any]:
    kind = port.get_element_type().get_type_name()
    shape = [n.get_length() if n.is_static else None for n in port.get_partial_shape()]
    return {"name": port.get_any_name(), "dtype": _DTYPES.get(kind, kind), "shape": shape}


def _plain(value: Array) -> Array:
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float32)
    return np.ascontiguousarray(value)


def _measured(compiled: Any, feeds: Mapping[str, Array], iterations: int) -> Tuple[List[Dict[str, Any]], List[Any]]:
    """Executed operators in order of execution, with mean durations, and all nodes of the execution graph."""
    request = compiled.create_infer_request()
    ready = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
    for _ in range(3):
        request.infer(ready)
    totals: Dict[str, float] = {}
    for _ in range(max(1, iterations)):
        request.infer(ready)
        for entry in request.get_profiling_info():
            if str(entry.status).endswith("EXECUTED"):
                micros = entry.real_time.total_seconds() * 1e6
                totals[entry.node_name] = totals.get(entry.node_name, 0.0) + micros
    graph = list(compiled.get_runtime_model().get_ordered_ops())
    found = []
    for node in graph:
        facts = _facts(node)
        micros = totals.get(node.get_friendly_name(), 0.0) / max(1, iterations)
        if micros > 0 and facts["layerType"] not in _BOUNDARY:
            found.append((int(facts.get("execOrder") or 0), _operator(node, facts, micros)))
    found.sort(key=lambda pair: pair[0])
    return [operator for _, operator in found], graph


def _facts(node: Any) -> Dict[str, str]:
    info = node.get_rt_info()
    found = {"layerType": node.get_type_name()}
    for key in _FACTS:
        if key in info:
            found[key] = str(info[key].astype(str) if hasattr(info[key], "astype") else info[key])
    return found


def _operator(node: Any, facts: Mapping[str, str], micros: float) -> Dict[str, Any]:
    precision = facts.get("runtimePrecision", "")
    made = facts.get("outputPrecisions", "").split(",")[0]
    if facts["layerType"] in ("Subgraph", "Eltwise") and precision in ("u8", "i8") and made in ("f32", "bf16", "f16"):
        precision = made  # it reads integers, and computes in what it makes
    return {
        "name": node.get_friendly_name(),
        "type": facts["layerType"],
        "duration_us": micros,
        "calls": 1,
        "inputs": [_shape(port) for port in node.inputs()],
        "outputs": [_shape(port) for port in node.outputs()],
        "dtype": _PRECISIONS.get(precision, precision),
        "kernel": facts.get("primitiveType", ""),
        "nodes": [name for name in facts.get("originalLayersNames", "").split(",") if name],
    }


def _shape(port: Any) -> List[int]:
    """The shape as numbers; -1 where it is open."""
    return [n.get_length() if n.is_static else -1 for n in port.get_partial_shape()]


def _timeline(operators: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    spans, clock = [], 0.0
    for operator in operators:
        span = {"name": operator["name"], "category": operator["type"], "start_us": clock, "track": "compute"}
        span["duration_us"] = operator["duration_us"]
        spans.append(span)
        clock += operator["duration_us"]
    return spans


def _memory(graph: List[Any], operators: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Bytes held while each operator runs: constants, and each result from its making to its last use."""
    constants = 0
    sizes: Dict[str, int] = {}
    last: Dict[str, int] = {}
    order = {operator["name"]: i for i, operator in enumerate(operators)}
    for node in graph:
        name, facts = node.get_friendly_name(), _facts(node)
        kinds = facts.get("outputPrecisions", "f32").split(",")
        size = sum(int(np.prod([max(n, 1) for n in _shape(p)])) for p in node.outputs()) * _BYTES.get(kinds[0], 4)
        if facts["layerType"] in ("Const", "Constant"):
            constants += size
            continue
        sizes[name] = size
        for port in node.inputs():
            maker = port.get_source_output().get_node().get_friendly_name()
            last[maker] = max(last.get(maker, -1), order.get(name, len(operators)))
    points = [{"time_us": 0.0, "bytes": constants, "owner": "weights"}]
    held: Dict[str, int] = {}
    clock = 0.0
    for i, operator in enumerate(operators):
        held[operator["name"]] = sizes.get(operator["name"], 0)
        points.append({"time_us": clock, "bytes": constants + sum(held.values()), "owner": operator["name"]})
        held = {name: size for name, size in held.items() if last.get(name, -1) > i}
        clock += operator["duration_us"]
    return points
