"""Runs an ONNX file in ONNX Runtime's CPU provider: what `app/engine.py` is on the device.

Engine contract: docs/architecture.md. Python >= 3.8, numpy and onnxruntime only.
"""

from __future__ import annotations

import ctypes

import numpy as np

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


def open(path, settings):
    """An Engine for the ONNX file `path`. `settings`: threads, inter_threads, execution_mode
    ("sequential" | "parallel"), graph_optimisation ("all" | "extended" | "basic" | "off"), spinning (bool)."""
    return Engine(path, settings)


class Engine(object):
    """One session. Outputs are arrays of its own that the next `run` overwrites."""

    def __init__(self, path, settings):
        import onnxruntime

        self._path = path
        self._settings = dict(settings or {})
        self._session = onnxruntime.InferenceSession(
            path, session_options(self._settings), providers=["CPUExecutionProvider"]
        )
        self.inputs = [_describe(value) for value in self._session.get_inputs()]
        self.outputs = [_describe(value) for value in self._session.get_outputs()]
        self.runtime = {"onnxruntime": onnxruntime.__version__}
        self._dtypes = {value["name"]: np.dtype(value["dtype"]) for value in self.inputs}
        self._names = [value["name"] for value in self.outputs]
        self._binding = None
        self._fixed = self._allocate()

    def _allocate(self):
        """The output arrays, where every shape is known before the first run.

        Bound once: `session.run` would hand out fresh memory each time, and touching 8 MB of fresh pages
        costs a small detector more than its head does."""
        shapes = [value["shape"] for value in self.inputs + self.outputs]
        if any(not isinstance(n, int) for shape in shapes for n in shape):
            return None
        if any(value["dtype"] == "bool" for value in self.outputs):
            return None
        self._binding = self._session.io_binding()
        arrays = {}
        for value in self.outputs:
            array = np.zeros(value["shape"], dtype=value["dtype"])
            arrays[value["name"]] = array
            address = array.ctypes.data_as(ctypes.c_void_p).value
            self._binding.bind_output(value["name"], "cpu", 0, array.dtype, list(array.shape), address)
        return arrays

    def run(self, feeds):
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        ready = {name: np.ascontiguousarray(value, dtype=self._dtypes[name]) for name, value in feeds.items()}
        if self._fixed is None:
            results = self._session.run(self._names, ready)
            return {name: _plain(value) for name, value in zip(self._names, results)}
        for name, value in ready.items():
            self._binding.bind_cpu_input(name, value)
        self._session.run_with_iobinding(self._binding)
        return {name: _plain(value) for name, value in self._fixed.items()}

    def close(self):
        self._binding = None
        self._session = None


def session_options(settings):
    """SessionOptions of a recipe's runtime settings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = int(settings.get("threads", 0))
    options.inter_op_num_threads = int(settings.get("inter_threads", 0))
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
    return options


def _describe(value):
    shape = [n if isinstance(n, int) else None for n in value.shape]
    return {"name": value.name, "dtype": _DTYPES.get(value.type, value.type), "shape": shape}


def _plain(value):
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float32)
    return np.ascontiguousarray(value)
