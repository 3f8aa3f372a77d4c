"""Reading and cutting onnx.ModelProto graphs: who makes a tensor, who uses it, what is constant, what is dead.

Every function works on top-level nodes; a tensor used inside a subgraph (If, Loop) counts as used by its node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def copy(model: Any) -> Any:
    """A ModelProto of its own, so that a step never changes what it was given."""
    import onnx

    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    return twin


def inputs(model: Any) -> list[Any]:
    """The inputs a caller feeds: graph inputs that are not initialisers."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def opset(model: Any) -> int:
    """The version of the default operator set; 0 where the model has none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def producers(model: Any) -> dict[str, Any]:
    """Tensor name → the node that makes it."""
    return {name: node for node in model.graph.node for name in node.output if name}


def consumers(model: Any) -> dict[str, list[Any]]:
    """Tensor name → the nodes that read it."""
    found: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in dict.fromkeys(uses(node)):
            found.setdefault(name, []).append(node)
    return found


def uses(node: Any) -> list[str]:
    """The tensors a node reads, those of its subgraphs included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                names += uses(inner)
            names += [value.name for value in graph.output]
    return names


def constants(model: Any) -> dict[str, Array]:
    """Every initialiser and Constant node's value by name."""
    from onnx import numpy_helper

    values: dict[str, Array] = {t.name: np.asarray(numpy_helper.to_array(t)) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    values[node.output[0]] = np.asarray(numpy_helper.to_array(attribute.t))
    return values


def shape_of(value: Any) -> tuple[int | None, ...]:
    """The shape of a ValueInfoProto; a dimension without a number is None."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)


def dtype_of(value: Any) -> np.dtype[Any]:
    """The numpy dtype of a ValueInfoProto."""
    import onnx

    dtype: np.dtype[Any] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return dtype


def shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Shapes by tensor name as far as ONNX's own inference can tell."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # inference is advice only: a graph it cannot follow still runs
        inferred = model
    graph = inferred.graph
    return {value.name: shape_of(value) for value in [*graph.value_info, *graph.input, *graph.output]}


def ancestors(model: Any, outputs: Iterable[str], stop: Iterable[str] = ()) -> list[Any]:
    """The nodes that `outputs` depend on, in graph order, not looking behind the tensors in `stop`."""
    made, halt = producers(model), set(stop)
    wanted: set[int] = set()
    pending = [name for name in outputs if name not in halt]
    while pending:
        node = made.get(pending.pop())
        if node is None or id(node) in wanted:
            continue
        wanted.add(id(node))
        pending += [name for name in uses(node) if name not in halt]
    return [node for node in model.graph.node if id(node) in wanted]


def cut(model: Any, start: Sequence[Any], end: Sequence[Any]) -> Any:
    """The part of the graph between the tensors of `start` and of `end` (ValueInfoProtos), as a model of its own.
    Graph inputs that it still needs stay inputs after those of `start`."""
    part = copy(model)
    names = {value.name for value in start}
    nodes = [_twin(node) for node in ancestors(model, [value.name for value in end], names)]
    needed = {name for node in nodes for name in uses(node)}
    kept = [_twin(value) for value in inputs(model) if value.name in needed and value.name not in names]
    stored = [_twin(t) for t in model.graph.initializer if t.name in needed or t.name in {v.name for v in end}]
    graph = part.graph
    for field, content in (
        (graph.node, nodes),
        (graph.initializer, stored),
        (graph.input, [*(_twin(v) for v in start), *kept]),
        (graph.output, [_twin(v) for v in end]),
    ):
        del field[:]
        field.extend(content)
    del graph.value_info[:]
    return part


def prune(model: Any) -> None:
    """Drops, in place, nodes and initialisers that no output needs, and shape notes of tensors that are gone."""
    graph = model.graph
    nodes = [_twin(node) for node in ancestors(model, [value.name for value in graph.output])]
    replace(graph.node, nodes)
    needed = {name for node in nodes for name in uses(node)} | {value.name for value in graph.output}
    replace(graph.initializer, [_twin(t) for t in graph.initializer if t.name in needed])
    alive = {name for node in nodes for name in node.output}
    replace(graph.value_info, [_twin(v) for v in graph.value_info if v.name in alive])


def replace(field: Any, content: Sequence[Any]) -> None:
    """A repeated field's content, replaced in place."""
    del field[:]
    field.extend(content)


def rewire(model: Any, old: str, new: str, *, but: Any = None) -> None:
    """Every reader of tensor `old`, but the node `but`, reads `new` instead. Outputs are left as they are."""
    for node in model.graph.node:
        if node is but:
            continue
        for i, name in enumerate(node.input):
            if name == old:
                node.input[i] = new


def store(model: Any, name: str, value: Array) -> str:
    """Adds an initialiser, or replaces the one of that name; gives back the name."""
    from onnx import numpy_helper

    fresh = numpy_helper.from_array(np.ascontiguousarray(value), name)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(fresh)
            return name
    model.graph.initializer.append(fresh)
    return name


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """A node's attribute as Python data, or the default."""
    import onnx

    for entry in node.attribute:
        if entry.name == name:
            return onnx.helper.get_attribute_value(entry)
    return default


def fresh_name(model: Any, wish: str) -> str:
    """`wish`, or `wish_2`, … if a tensor is called that already."""
    graph = model.graph
    taken = {name for node in graph.node for name in [*node.input, *node.output]}
    taken |= {value.name for value in [*graph.input, *graph.output]} | {t.name for t in graph.initializer}
    name, count = wish, 1
    while name in taken:
        count += 1
        name = f"{wish}_{count}"
    return name


def _twin(message: Any) -> Any:
    twin = type(message)()
    twin.CopyFrom(message)
    return twin
