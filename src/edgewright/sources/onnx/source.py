"""The source: a user's own ONNX file, checked, put into the wanted shape and recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import LoadedModel, Model, ModelSpec, Parity, Role
from edgewright.sources.examples import example_inputs
from edgewright.sources.families import recognise
from edgewright.sources.model_file import input_specs, opset_of, parameter_count, save_model
from edgewright.sources.onnx.metadata import read_metadata
from edgewright.sources.onnx.reading import INLINE_CHECK_BYTES, read_graph
from edgewright.sources.onnx.shapes import apply_shapes, fix_image_size
from edgewright.sources.parity import check_parity, run_graph, unchecked


@dataclass(frozen=True)
class _Content:
    """The graph in its wanted shape, what it answered to the example, and the output its task reads ("": all)."""

    proto: Any
    answers: Mapping[str, NDArray[Any]]
    output: str


class OnnxSource:
    """An `.onnx` file. It stays as its author wrote it, but for shapes, unread outputs and an older opset."""

    name = "onnx"

    def matches(self, spec: ModelSpec) -> bool:
        return spec.format in ("", self.name) and Path(spec.source).suffix.lower() == ".onnx"

    def load(self, spec: ModelSpec) -> LoadedModel:
        """Reads, checks and runs the file once. InputError for a damaged or foreign file, an unknown operator, weights
        outside its folder, or a shape that does not fit."""
        path = Path(spec.source)
        proto = read_graph(path)
        apply_shapes(proto, input_specs(proto), spec.inputs)
        metadata = read_metadata(proto)
        notes: tuple[str, ...] = ()
        if fix_image_size(proto, input_specs(proto), metadata.size):
            sides = input_specs(proto)[0].shape[2:]
            notes = (f"The file leaves height and width open; {sides[0]}×{sides[1]} is used (see `inputs:`).",)
        inputs = input_specs(proto)
        example = example_inputs(inputs)
        answers = _answers(proto, path, example)
        found = recognise(inputs, answers, metadata, spec.labels)
        hints = _with_notes(found.hints, notes)
        content = _Content(proto, answers, found.output)
        return LoadedModel(spec, self.name, hints, content, example=example, parameters=parameter_count(proto))

    def to_onnx(self, loaded: LoadedModel, opset: int, folder: Path) -> dict[Role, Model]:
        """`folder`/model.onnx. A file in an older opset is converted to the one asked and compared with itself; where
        that cannot be done, and for newer ones, it stays as it is and a note says so."""
        content: _Content = loaded.content
        proto, steps, notes = content.proto, [], []
        parity = unchecked("the file is the model itself")
        if opset_of(proto) < opset:
            converted, parity_or_reason = _converted(content, loaded.example, opset)
            if isinstance(parity_or_reason, Parity):
                steps.append(f"opset {opset_of(proto)} converted to {opset}")
                proto, parity = converted, parity_or_reason
            else:
                notes.append(f"The file stays in opset {opset_of(proto)}: {parity_or_reason}.")
        elif opset_of(proto) > opset:
            notes.append(f"The file is written in opset {opset_of(proto)} and stays so; {opset} was asked for.")
        dropped = _keep_output(proto, content.output)
        if dropped:
            steps.append(f"outputs not read by the task left out: {', '.join(dropped)}")
        _fix_output_shapes(proto, content.answers)
        hints = _with_notes(loaded.hints, tuple(notes))
        model = save_model(
            proto, folder, source=self.name, opset=None, hints=hints, parity=parity, steps=steps,
            parameters=loaded.parameters,
        )  # fmt: skip
        return {"main": model}


def _answers(proto: Any, path: Path, example: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What the graph really gives for the example. InputError where ONNX Runtime cannot open or run it."""
    names = [value.name for value in proto.graph.output]
    try:
        values = run_graph(_runnable(proto, path), example)
    except Exception as error:  # ONNX Runtime's errors have no common base but Exception
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"ONNX Runtime cannot run {path.name}: {reason}.",
            "Export the model again, or state fitting shapes in `inputs:`.",
        ) from error
    return dict(zip(names, values, strict=True))


def _runnable(proto: Any, path: Path) -> Path | bytes:
    """A message for ONNX Runtime; a model too large for one is run from its own file."""
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    return path if size > INLINE_CHECK_BYTES else proto.SerializeToString()


def _converted(content: _Content, example: Mapping[str, Any], opset: int) -> tuple[Any, Parity | str]:
    """The graph in a newer opset with its parity against the file, or why that could not be."""
    from onnx import helper, version_converter

    if sum(len(tensor.raw_data) for tensor in content.proto.graph.initializer) > INLINE_CHECK_BYTES:
        return None, "it is too large to convert"
    if any(entry.domain not in ("", "ai.onnx") for entry in content.proto.opset_import):
        return None, "it uses operators that are not ONNX's own"
    try:
        converted = version_converter.convert_version(content.proto, opset)
        least = helper.find_min_ir_version_for(list(converted.opset_import), ignore_unknown=True)
        converted.ir_version = max(converted.ir_version, least)
        del converted.metadata_props[:]
        converted.metadata_props.extend(content.proto.metadata_props)
        values = run_graph(converted.SerializeToString(), example)
        return converted, check_parity(values, list(content.answers.values()), "the file as it was")
    except Exception as error:  # the converter's C++ errors have no common base but Exception
        return None, f"it cannot be converted ({' '.join(str(error).split())[:120]})"


def _keep_output(proto: Any, output: str) -> list[str]:
    """Leaves out the outputs the task does not read (the raw heads beside a decoded one) and what only they need."""
    dropped = [value.name for value in proto.graph.output if output and value.name != output]
    if not dropped:
        return []
    kept = [value for value in proto.graph.output if value.name == output]
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    needed, nodes = {output}, []
    for node in reversed(proto.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(_reads(node))
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    return dropped


def _reads(node: Any) -> set[str]:
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            names |= {value.name for value in graph.output}
            for inner in graph.node:
                names |= _reads(inner)
    return names


def _fix_output_shapes(proto: Any, answers: Mapping[str, NDArray[Any]]) -> None:
    """Output shapes as they really are; the batch stays open where the input's is."""
    inputs = input_specs(proto)
    fixed = all(spec.is_fixed for spec in inputs)
    batch_only = all(isinstance(n, int) for spec in inputs for n in spec.shape[1:])
    if not (fixed or batch_only):
        return
    for value in proto.graph.output:
        dimensions, real = value.type.tensor_type.shape.dim, answers[value.name].shape
        if len(dimensions) != len(real):
            del dimensions[:]
            dimensions.extend(type(value.type.tensor_type.shape.Dimension())() for _ in real)
        for axis, (dimension, n) in enumerate(zip(dimensions, real, strict=True)):
            if fixed or axis:
                dimension.dim_value = n
            elif not dimension.HasField("dim_value"):
                dimension.dim_param = str(inputs[0].shape[0] or "batch")


def _with_notes(hints: Any, notes: tuple[str, ...]) -> Any:
    import dataclasses

    return dataclasses.replace(hints, notes=(*notes, *hints.notes))
