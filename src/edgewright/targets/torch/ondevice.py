"""Runs a torch ExportedProgram (.pt2) eagerly on the CPU: the baseline's `app/engine.py`.

Engine contract: docs/architecture.md. Python >= 3.8, numpy and torch only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
MARK = "edgewright:"


def open(path: str, settings: Mapping[str, Any]) -> Engine:
    """An Engine for the program `path`. `settings`: threads, and the ports `inputs` and `outputs` in the program's
    order, each {name, dtype, shape}; a `batch` other than the program's own is refused."""
    return Engine(path, settings)


class Engine:
    """One program, run without autograd."""

    def __init__(self, path: str, settings: Mapping[str, Any]) -> None:
        import torch

        if settings.get("threads"):
            torch.set_num_threads(int(settings["threads"]))
        self._torch = torch
        self._module = torch.export.load(path).module()
        self.inputs: List[Dict[str, Any]] = [dict(port) for port in settings["inputs"]]
        self.outputs: List[Dict[str, Any]] = [dict(port) for port in settings["outputs"]]
        self.runtime = {"torch": torch.__version__}
        batch = int(settings.get("batch") or 1)
        if batch > 1:
            self._rebatch(batch)

    def _rebatch(self, batch: int) -> None:
        """A program keeps the shapes it was exported with, unless its first dimension was left open: try it."""
        for port in self.inputs + self.outputs:
            port["shape"] = [batch] + list(port["shape"])[1:]
        try:
            self.run(self._zeros())
        except Exception:
            raise ValueError("This program was exported for one sample at a time, not %d." % batch) from None

    def run(self, feeds: Mapping[str, Array]) -> Dict[str, Array]:
        """{input name: array} -> {output name: array}; floats as float32, C-contiguous."""
        with self._torch.no_grad():
            results = self._module(*self._tensors(feeds))
        leaves = _leaves(self._torch, results)
        return {port["name"]: _plain(leaf.numpy()) for port, leaf in zip(self.outputs, leaves)}

    def executed(self) -> Dict[str, Any]:
        """Share of time and count of operators by the precision of what they make, on zeros."""
        times: Dict[str, float] = {}
        counts: Dict[str, int] = {}
        for operator in self._measured(self._zeros(), 3)[0]:
            times[operator["dtype"]] = times.get(operator["dtype"], 0.0) + operator["duration_us"]
            counts[operator["dtype"]] = counts.get(operator["dtype"], 0) + 1
        total = sum(times.values()) or 1.0
        return {"precisions": {kind: value / total for kind, value in times.items()}, "ops": counts}

    def profile(self, feeds: Mapping[str, Array], iterations: int) -> Dict[str, Any]:
        """Operators, timeline and memory of `iterations` runs by torch.profiler, in core.profile's terms."""
        operators, timeline, memory = self._measured(feeds, iterations)
        note = "Each operator of the exported graph is one row; its time is torch.profiler's, its memory from shapes."
        return {"tool": "torch", "operators": operators, "timeline": timeline, "memory": memory, "notes": [note]}

    def close(self) -> None:
        self._module = None

    def _tensors(self, feeds: Mapping[str, Array]) -> List[Any]:
        """Tensors over the caller's arrays, in the program's order."""
        return [
            self._torch.from_numpy(np.ascontiguousarray(feeds[port["name"]], dtype=port["dtype"]))
            for port in self.inputs
        ]

    def _zeros(self) -> Dict[str, Array]:
        return {port["name"]: np.zeros([n or 8 for n in port["shape"]], port["dtype"]) for port in self.inputs}

    def _measured(self, feeds: Mapping[str, Array], iterations: int) -> Tuple[List[Any], List[Any], List[Any]]:
        from torch.profiler import ProfilerActivity, profile

        walk = _walker(self._torch, self._module)
        tensors = self._tensors(feeds)
        with self._torch.no_grad():
            walk.run(*tensors)
            with profile(activities=[ProfilerActivity.CPU]) as tracer:
                for _ in range(max(1, iterations)):
                    walk.run(*tensors)
        events = [event for event in tracer.events() if event.name.startswith(MARK)]
        return _read(events, walk.facts, _weights(self._module), max(1, iterations))


def _walker(torch: Any, module: Any) -> Any:
    """An interpreter of the exported graph that marks each operator for the profiler and notes its shapes."""

    class Walker(torch.fx.Interpreter):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(module)
            self.facts: Dict[str, Dict[str, Any]] = {}

        def call_function(self, target: Any, arguments: Any, options: Any) -> Any:
            name = self._node.name
            with torch.profiler.record_function(MARK + name):
                result = super().call_function(target, arguments, options)
            if name not in self.facts:
                self.facts[name] = _facts(torch, self._node, target, arguments, result)
            return result

        def run_node(self, node: Any) -> Any:
            self._node = node
            return super().run_node(node)

    return Walker()


def _facts(torch: Any, node: Any, target: Any, arguments: Any, result: Any) -> Dict[str, Any]:
    made = [leaf for leaf in _leaves(torch, result) if hasattr(leaf, "shape")]
    taken = [leaf for leaf in _leaves(torch, arguments) if hasattr(leaf, "shape")]
    dtype = str(made[0].dtype).replace("torch.", "") if made else ""
    schema = getattr(target, "_schema", None)
    return {
        "name": node.name,
        "type": schema.name if schema is not None else getattr(target, "__name__", str(target)),
        "inputs": [list(tensor.shape) for tensor in taken],
        "outputs": [list(tensor.shape) for tensor in made],
        "dtype": _PRECISIONS.get(dtype, dtype),
        "size": sum(tensor.numel() * tensor.element_size() for tensor in made),
        "takes": [other.name for other in node.all_input_nodes],
        "view": bool(taken) and bool(made) and made[0].data_ptr() == taken[0].data_ptr(),
    }


def _read(
    events: List[Any], facts: Mapping[str, Dict[str, Any]], weights: int, iterations: int
) -> Tuple[List[Any], List[Any], List[Any]]:
    """Mean operators, the last iteration's timeline, and the memory held while each operator ran."""
    totals: Dict[str, float] = {}
    for event in events:
        name = event.name[len(MARK) :]
        totals[name] = totals.get(name, 0.0) + event.time_range.elapsed_us()
    operators = []
    for name, fact in facts.items():
        row = {key: fact[key] for key in ("name", "type", "inputs", "outputs", "dtype")}
        operators.append(dict(row, duration_us=totals.get(name, 0.0) / iterations, calls=1, kernel="", nodes=[name]))
    last = sorted(events, key=lambda event: event.time_range.start)[-len(facts) :]
    start = last[0].time_range.start if last else 0
    timeline, memory = [], [{"time_us": 0.0, "bytes": weights, "owner": "weights"}]
    ends = {taken: i for i, fact in enumerate(facts.values()) for taken in fact["takes"]}
    held: Dict[str, int] = {}
    for i, event in enumerate(last):
        name, clock = event.name[len(MARK) :], float(event.time_range.start - start)
        fact = facts[name]
        held[name] = 0 if fact["view"] else fact["size"]
        span = {"name": name, "category": fact["type"], "start_us": clock, "track": "compute"}
        timeline.append(dict(span, duration_us=float(event.time_range.elapsed_us())))
        memory.append({"time_us": clock, "bytes": weights + sum(held.values()), "owner": name})
        held = {key: size for key, size in held.items() if ends.get(key, -1) > i}
    return operators, timeline, memory


def _weights(module: Any) -> int:
    tensors = list(module.parameters()) + list(module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _leaves(torch: Any, tree: Any) -> List[Any]:
    """Tensors of nested tuples, lists and dicts, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(torch, part)]
    return []


def _plain(value: Array) -> Array:
    if value.dtype.kind == "f" and value.dtype != np.float32:
        value = value.astype(np.float32)
    return np.ascontiguousarray(value)
