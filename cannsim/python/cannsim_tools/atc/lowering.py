"""From the parsed graph to the network the stand-in runs: plain ONNX in float, with every device rounding written out.

A rounding is a cast to float16 (or bfloat16) and back; the runtime keeps each (runtime/engine.cpp). Weights are stored
in the precision of the operator that reads them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .operators import CUBE, MOVES, PARAMETERS
from .precision import BFLOAT, FLOAT, HALF, HALF_IN, INT8

NARROW = {HALF: TensorProto.FLOAT16, BFLOAT: TensorProto.BFLOAT16}


class Lowering:
    """One pass over the nodes in order; `state` remembers on which grid each tensor's values lie."""

    def __init__(self, model: onnx.ModelProto, types: dict[str, int], precision: dict[str, str]) -> None:
        self.model = model
        self.types = types
        self.precision = precision
        self.state: dict[str, str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.kept: dict[str, TensorProto] = {}  # initializers of the lowered network
        self.rounded: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Rewrites the model's graph in place."""
        graph = self.model.graph
        for node in graph.node:
            self._node(node)
        for output in graph.output:  # a constant or an input handed straight out
            self._keep_if_weight(output.name)
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.initializer[:]
        graph.initializer.extend(self.kept.values())
        del graph.value_info[:]
        constants = set(self.weights)
        inputs = [value for value in graph.input if value.name not in constants]
        del graph.input[:]
        graph.input.extend(inputs)

    def _is_float(self, name: str) -> bool:
        return self.types.get(name) == TensorProto.FLOAT

    def _node(self, node: onnx.NodeProto) -> None:
        wanted = self.precision.get(node.name, FLOAT)
        narrow = {HALF_IN: HALF, INT8: FLOAT}.get(wanted, wanted)  # of the operands
        parameters = PARAMETERS.get(node.op_type, set())
        for index, name in enumerate(node.input):
            if not name:
                continue
            if name in self.weights:
                plain = narrow == FLOAT or not self._is_float(name) or index in parameters
                # A bias is added in the wide accumulator, and stays wide.
                bias = node.op_type in CUBE and index == 2
                node.input[index] = self._weight(name, FLOAT if plain or bias else narrow)
            elif narrow != FLOAT and self._is_float(name) and index not in parameters:
                node.input[index] = self._round_input(name, narrow)
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            if name and self._is_float(name):
                self._output(node, index, name, wanted)

    def _output(self, node: onnx.NodeProto, index: int, name: str, wanted: str) -> None:
        states = {self.state.get(source, FLOAT) for source in node.input if source and self._is_float_source(source)}
        if node.op_type in MOVES and len(states) == 1:
            self.state[name] = states.pop()
            return
        if wanted in (FLOAT, HALF_IN):
            self.state[name] = FLOAT
            return
        wanted = HALF if wanted == INT8 else wanted
        raw = f"{name}/wide"
        node.output[index] = raw
        self._cast_pair(raw, name, wanted)
        self.state[name] = wanted

    def _is_float_source(self, name: str) -> bool:
        return self.state.get(name) is not None or self._is_float(name)

    def _cast_pair(self, source: str, target: str, narrow: str) -> None:
        between = f"{target}/{narrow}"
        self.nodes.append(helper.make_node("Cast", [source], [between], name=f"{target}/round", to=NARROW[narrow]))
        self.nodes.append(helper.make_node("Cast", [between], [target], name=f"{target}/widen", to=TensorProto.FLOAT))

    def _round_input(self, name: str, narrow: str) -> str:
        if self.state.get(name) == narrow:
            return name
        key = (name, narrow)
        if key not in self.rounded:
            target = f"{name}/as_{narrow}"
            self._cast_pair(name, target, narrow)
            self.state[target] = narrow
            self.rounded[key] = target
        return self.rounded[key]

    def _weight(self, name: str, narrow: str) -> str:
        """The name under which a constant is read in this precision; stored once for each."""
        if narrow == FLOAT:
            self._keep_if_weight(name)
            self.state[name] = FLOAT if self._is_float(name) else self.state.get(name, FLOAT)
            return name
        key = (name, narrow)
        if key not in self.rounded:
            stored, target = f"{name}/stored_{narrow}", f"{name}/weight_{narrow}"
            self.kept[stored] = _narrowed(self.weights[name], stored, narrow)
            self.nodes.append(helper.make_node("Cast", [stored], [target], name=target, to=TensorProto.FLOAT))
            self.state[target] = narrow
            self.rounded[key] = target
        return self.rounded[key]

    def _keep_if_weight(self, name: str) -> None:
        if name in self.weights:
            self.kept[name] = self.weights[name]


def _narrowed(tensor: TensorProto, name: str, narrow: str) -> TensorProto:
    values = numpy_helper.to_array(tensor).astype(np.float32)
    if narrow == HALF:
        with np.errstate(over="ignore"):
            # --is_weight_clip: a weight beyond fp16's range is stored as its largest number
            return numpy_helper.from_array(np.clip(values, -65504, 65504).astype(np.float16), name)
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return helper.make_tensor(name, TensorProto.BFLOAT16, values.shape, rounded.astype(np.uint16).tobytes(), raw=True)


def widen_half_model(model: onnx.ModelProto) -> bool:
    """A model exported in fp16 becomes a float one between casts at its ends; True when it was one.

    The stand-in computes in float and rounds: the planner then plans fp16 for every operator.
    """
    half = TensorProto.FLOAT16
    graph = model.graph
    weights = [tensor for tensor in graph.initializer if tensor.data_type == half]
    inputs = [value for value in graph.input if value.type.tensor_type.elem_type == half]
    if not weights and not inputs:
        return False
    for tensor in weights:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    front, back = [], []
    for value in inputs:
        wide = f"{value.name}/wide_input"
        for node in graph.node:
            node.input[:] = [wide if name == value.name else name for name in node.input]
        front.append(helper.make_node("Cast", [value.name], [wide], name=wide, to=TensorProto.FLOAT))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t") and attribute.t.data_type == half:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
    for value in graph.output:
        if value.type.tensor_type.elem_type == half:
            wide = f"{value.name}/wide_output"
            for node in graph.node:
                node.output[:] = [wide if name == value.name else name for name in node.output]
                node.input[:] = [wide if name == value.name else name for name in node.input]
            back.append(helper.make_node("Cast", [wide], [value.name], name=f"{value.name}/half", to=half))
    nodes = [*front, *graph.node, *back]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return True
