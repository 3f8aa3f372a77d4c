"""Where does an exported graph first depart from its module? For the message of a failed parity check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.sources.parity import differs, run_graph


def first_difference(proto: Any, run: Callable[[], Any], feeds: Mapping[str, NDArray[Any]]) -> str:
    """The first node of the graph that is wrong; `run` runs the torch module on the same `feeds`.

    A node is right if torch computed its result too, at any moment, or if something right was made from it: exporters
    split operations and fold others together, so a node need not have a twin.
    """
    import onnx
    from onnx import helper

    watched: Any = onnx.ModelProto()
    watched.CopyFrom(proto)
    names = [name for node in proto.graph.node for name in node.output if name]
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    ours = dict(zip(names, run_graph(watched.SerializeToString(), feeds, names), strict=True))
    theirs = _computed(run)
    right: set[str] = set()
    first = str(proto.graph.output[0].name)
    for node in reversed(proto.graph.node):
        made = [ours[name] for name in node.output if name]
        if right.intersection(node.output) or any(_known(array, theirs) for array in made):
            right.update(node.input)
        elif node.op_type != "Constant":
            first = str(node.name or node.output[0])
    return first


def _known(array: NDArray[Any], theirs: Mapping[int, list[NDArray[Any]]]) -> bool:
    flat = array.reshape(-1)
    return any(not differs(flat, other) for other in theirs.get(flat.size, ()))


def _computed(run: Callable[[], Any]) -> dict[int, list[NDArray[Any]]]:
    """Every tensor torch computes during the run, flattened, by its number of elements."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    found: dict[int, list[NDArray[Any]]] = {}

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            answer = operator(*args, **(kwargs or {}))
            for tensor in answer if isinstance(answer, (list, tuple)) else (answer,):
                if isinstance(tensor, torch.Tensor) and tensor.numel():
                    found.setdefault(tensor.numel(), []).append(np.array(tensor.detach().numpy()).reshape(-1))
            return answer

    with torch.no_grad(), Watch():
        run()
    return found
