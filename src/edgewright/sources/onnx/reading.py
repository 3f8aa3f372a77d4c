"""An ONNX file from a stranger: bounded, confined to its folder, and made of operators that are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edgewright.core.errors import InputError

MAX_GRAPH_BYTES = 2 << 30
MAX_DATA_BYTES = 16 << 30
MAX_NODES = 200_000
MAX_DEPTH = 32
RUNTIME_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "ai.onnx.preview.training")
_DAMAGED = "Copy or export the file again; it is cut off or damaged."


def read_graph(path: Path) -> Any:
    """The `onnx.ModelProto` in `path`, weights included. InputError for what is damaged, too large, reaches outside
    its folder, or names an operator nobody knows."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise InputError(f"{path.name} is over {MAX_GRAPH_BYTES >> 30} GiB.", "Use a smaller model.")
        proto = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (DecodeError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is not an ONNX model.", _DAMAGED) from error
    if not proto.graph.node or not proto.graph.output:
        raise InputError(f"{path.name} is not an ONNX model: it has no graph.", _DAMAGED)
    _check_text(proto, path.name)
    _check_external_data(proto, path)
    _check_operators(proto, path.name)
    _load_external_data(proto, path)
    _check_structure(proto, path.name)
    return proto


def nodes_of(graph: Any, depth: int = 0) -> Iterator[Any]:
    """Every node, those of subgraphs included. InputError past a sane depth."""
    if depth > MAX_DEPTH:
        raise InputError(f"The graph holds over {MAX_DEPTH} graphs inside one another.", "Export it again.")
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from nodes_of(inner, depth + 1)


def _check_text(proto: Any, file: str) -> None:
    """Protobuf gives bytes where a name is not UTF-8; nothing after this expects them."""
    named = (*proto.graph.input, *proto.graph.output, *proto.graph.initializer, *proto.graph.value_info)
    texts = [value.name for value in named] + [part for item in proto.metadata_props for part in (item.key, item.value)]
    texts += [entry.domain for entry in proto.opset_import]
    for node in nodes_of(proto.graph):
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{file} holds names that are not text.", _DAMAGED)


def _tensors(proto: Any) -> Iterator[Any]:
    yield from proto.graph.initializer
    for node in nodes_of(proto.graph):
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors)
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from inner.initializer


def _check_external_data(proto: Any, path: Path) -> None:
    """Weights in other files must lie in the model's own folder and be as long as they say."""
    from onnx import TensorProto

    folder, total = path.parent.resolve(), 0
    for tensor in _tensors(proto):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entry = {item.key: item.value for item in tensor.external_data}
        location = PurePosixPath(entry.get("location", "").replace("\\", "/"))
        file = folder / location
        inside = location.parts and not location.is_absolute() and ".." not in location.parts
        if not inside or not file.resolve().is_relative_to(folder):
            raise InputError(
                f"{path.name} keeps weights outside its folder: '{str(location)[:80]}'.",
                "Put the files beside each other and export again.",
            )
        if not file.is_file():
            raise InputError(
                f"{path.name} keeps weights in '{location.name[:80]}', which is missing.", "Copy both files."
            )
        offset, length = _number(entry.get("offset")), _number(entry.get("length"))
        total += length
        if offset + length > file.stat().st_size or total > MAX_DATA_BYTES:
            raise InputError(f"'{location.name[:80]}' is shorter than {path.name} says.", _DAMAGED)


def _number(text: str | None) -> int:
    try:
        value = int(text or 0)
    except ValueError:
        value = -1
    if not 0 <= value <= MAX_DATA_BYTES:
        raise InputError("The file's table of external weights is malformed.", _DAMAGED)
    return value


def _load_external_data(proto: Any, path: Path) -> None:
    import onnx
    from onnx import external_data_helper

    try:
        external_data_helper.load_external_data_for_model(proto, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"The external weights of {path.name} cannot be read.", _DAMAGED) from error


def _check_operators(proto: Any, file: str) -> None:
    """Every operator is ONNX's own at the file's opset, one of ONNX Runtime's, or defined in the file."""
    from onnx import defs

    imported = {entry.domain: int(entry.version) for entry in proto.opset_import}
    own = {(function.domain, function.name) for function in proto.functions}
    for count, node in enumerate(nodes_of(proto.graph)):
        if count > MAX_NODES:
            raise InputError(f"{file} has over {MAX_NODES} nodes.", "Use a smaller model.")
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (node.domain, node.op_type) in own or domain in RUNTIME_DOMAINS:
            continue
        newest = max(imported.get("", 0), imported.get("ai.onnx", 0)) or 1
        if domain == "" and defs.has(node.op_type, newest, ""):
            continue
        where = f"of domain '{domain[:60]}' " if domain else f"in opset {newest} "
        raise InputError(
            f"{file} uses the operator '{node.op_type[:60]}' {where}(node '{node.name[:60]}'), which is not known.",
            "Export the model with standard ONNX operators only, or with a newer opset.",
        )


def _check_structure(proto: Any, file: str) -> None:
    import onnx

    if proto.ByteSize() > INLINE_CHECK_BYTES:
        return  # the checker takes messages below 2 GiB; ONNX Runtime still checks the graph when it opens it
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "the checker gives no reason"
        raise InputError(f"{file} is not a valid ONNX model: {reason}", "Export the model again.") from error


INLINE_CHECK_BYTES = 1 << 30
