"""Runs an OpenVINO IR on the CPU plugin: what `app/engine.py` is on the device.

Engine contract: docs/architecture.md. Python >= 3.8, numpy and openvino only.
"""

from __future__ import annotations

import numpy as np

_DTYPES = {"f32": "float32", "f16": "float16", "f64": "float64", "boolean": "bool", "bf16": "bfloat16"}
_DTYPES.update({"i%d" % bits: "int%d" % bits for bits in (8, 16, 32, 64)})
_DTYPES.update({"u%d" % bits: "uint%d" % bits for bits in (8, 16, 32, 64)})


def open(path, settings):
    """An Engine for the IR `path` (.xml beside its .bin). `settings`: threads, streams, hint ("latency" |
    "throughput"), inference_precision ("f32" | "bf16" | "f16"), pinning (bool)."""
    return Engine(path, settings)


class Engine(object):
    """One compiled model and one infer request. Outputs are arrays of its own that the next `run` overwrites."""

    def __init__(self, path, settings):
        import openvino

        self._path = path
        self._settings = dict(settings or {})
        self._core = openvino.Core()
        self._tensor = openvino.Tensor
        self._compiled = self._core.compile_model(path, "CPU", configuration(self._settings))
        self._request = self._compiled.create_infer_request()
        self.inputs = [_describe(port) for port in self._compiled.inputs]
        self.outputs = [_describe(port) for port in self._compiled.outputs]
        self.runtime = {"openvino": openvino.__version__.split("-")[0]}
        self._index = {value["name"]: i for i, value in enumerate(self.inputs)}
        self._dtypes = [np.dtype(value["dtype"]) for value in self.inputs]
        self._bound = [None] * len(self.inputs)
        self._fixed = self._allocate()

    def _allocate(self):
        """Output arrays bound to the request once, where the shapes are fixed, so that no run copies its results."""
        if any(n is None for value in self.inputs + self.outputs for n in value["shape"]):
            return None
        arrays = {}
        for i, value in enumerate(self.outputs):
            arrays[value["name"]] = np.zeros(value["shape"], dtype=value["dtype"])
            self._request.set_output_tensor(i, self._tensor(arrays[value["name"]], shared_memory=True))
        return arrays

    def run(self, feeds):
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        for name, value in feeds.items():
            i = self._index[name]
            value = np.ascontiguousarray(value, dtype=self._dtypes[i])
            if value is not self._bound[i]:
                self._bound[i] = value
                self._request.set_input_tensor(i, self._tensor(value, shared_memory=True))
        self._request.infer()
        if self._fixed is not None:
            return {name: _plain(value) for name, value in self._fixed.items()}
        return {
            value["name"]: _plain(self._request.get_output_tensor(i).data) for i, value in enumerate(self.outputs)
        }

    def close(self):
        self._request = None
        self._compiled = None
        self._bound = []


def configuration(settings):
    """The plugin's properties for a recipe's runtime settings. Nothing is cached on disk."""
    properties = {"PERFORMANCE_HINT": str(settings.get("hint", "latency")).upper()}
    if settings.get("threads"):
        properties["INFERENCE_NUM_THREADS"] = int(settings["threads"])
    if settings.get("streams"):
        properties["NUM_STREAMS"] = str(settings["streams"])
    if settings.get("inference_precision"):
        properties["INFERENCE_PRECISION_HINT"] = settings["inference_precision"]
    if "pinning" in settings:
        properties["ENABLE_CPU_PINNING"] = bool(settings["pinning"])
    return properties


def _describe(port):
    kind = port.get_element_type().get_type_name()
    shape = [d.get_length() if d.is_static else None for d in port.get_partial_shape()]
    return {"name": port.get_any_name(), "dtype": _DTYPES.get(kind, kind), "shape": shape}


def _plain(value):
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float32)
    return np.ascontiguousarray(value)
