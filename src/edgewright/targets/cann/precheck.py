"""What in a graph will stop, slow or change a conversion, before any vendor's tool runs: with what we do about it.

An error stops the build: the tool would refuse the model after minutes, or the device after the transfer. Sources:
cann.md 1.6 (operator sets) and 10 (symptoms); the operators are rows of risky_operators.toml.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.profile import Finding
from edgewright.graph import surgery
from edgewright.targets.cann.atc_options import older

QDQ = {"QuantizeLinear", "DequantizeLinear"}
INTEGER = {"DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
AMCT_TYPES = {"AscendQuant", "AscendDequant", "AscendWeightQuant", "AscendAntiQuant"}
SHAPES_ONLY = {"Shape", "Size", "Constant", "ConstantOfShape", "NonZero"}
OLDEST_OPSET, AMCT_OPSET = 11, 11
"""The oldest that atc documents, and the one AMCT reads (atlasamct_16_0152)."""
AMCT_UNKNOWN = "8.1"
"""From this CANN on it is not confirmed what AMCT reads: the vendor's page that says opset 11 is of 8.0."""
LONGEST_NAME = 127  # ACL_MAX_TENSOR_NAME_LEN less the end of the string
MOST_EVIDENCE = 20
DEEPEST = 8  # graphs inside graphs that are looked into


def precheck(model: Any, *, soc_version: str, cann: str, quantised: bool = False) -> tuple[Finding, ...]:
    """Findings of an onnx.ModelProto, errors first. `soc_version` as atc writes it, `cann` the toolkit's version ("" if
    not known), `quantised`: INT8 is to be made of it by AMCT."""
    types = _types(model)
    shapes = surgery.shapes(model)
    found = [
        *_operators(model, soc_version),
        *_opset(model, cann, quantised),
        *_domains(model),
        *_quantisation(model, quantised),
        *_free_axes(model, soc_version),
        *_high_rank(model, shapes),
        *_long_integers(model, types),
        *_doubles(types),
        *_beyond_fp16(model),
        *_resizes(model),
        *_names(model),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def _finding(
    rule: str, severity: str, title: str, detail: str, remedy: str, nodes: list[str] | None = None,
    argues_for: tuple[str, ...] = (),
) -> Finding:  # fmt: skip
    evidence = tuple({"node": name} for name in (nodes or [])[:MOST_EVIDENCE])
    return Finding(f"cann-{rule}", title, detail, severity, evidence=evidence, argues_for=argues_for, remedy=remedy)


def _operators(model: Any, soc_version: str) -> Iterator[Finding]:
    bare = soc_version.removeprefix("Ascend")
    every = list(_nodes(model.graph))
    for row in _risky():
        nodes = [node for node in every if node.op_type in row["types"] and node.domain in ("", "ai.onnx")]
        if nodes:
            here = bare.startswith(tuple(row.get("chips", ("",))))
            said = "" if row.get("confirmed", True) else " (Reported by users.)"
            detail = f"{_counted(nodes)}. {row['why']}{said}"
            severity = row["severity"] if here else row["otherwise"]
            argues_for = tuple(row.get("argues_for", ()))
            yield _finding("operator", severity, row["title"], detail, row["remedy"], _names_of(nodes), argues_for)
    foreign = [node for node in every if node.domain not in ("", "ai.onnx") and node.op_type not in AMCT_TYPES]
    if foreign:
        kinds = ", ".join(sorted({_short(f"{node.domain}::{node.op_type}") for node in foreign})[:5])
        why = (
            f"{len(foreign)} × {kinds}. atc parses the standard operators; others need a plug-in of their own (E19010)."
        )
        remedy = "Export the model without the library that adds them, or rewrite them with standard operators."
        yield _finding("operator", "error", "Operators of a foreign domain", why, remedy, _names_of(foreign))


def _nodes(graph: Any, depth: int = 0) -> Iterator[Any]:
    """Every node, those inside branches and loops too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute if depth < DEEPEST else ():
            for inner in [attribute.g, *attribute.graphs]:
                yield from _nodes(inner, depth + 1)


@functools.cache
def _risky() -> tuple[Mapping[str, Any], ...]:
    text = (Path(__file__).parent / "risky_operators.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["operator"])


def _opset(model: Any, cann: str, quantised: bool) -> Iterator[Finding]:
    version = surgery.opset(model)
    carries = any(node.op_type in QDQ for node in model.graph.node)
    remedy = "The step set_opset writes the graph in opset 11; where that is not possible, export it so."
    if version < OLDEST_OPSET:
        detail = f"The graph is of opset {version}; atc documents 11 and newer."
        yield _finding("opset", "error", "The operator set is too old", detail, remedy)
    newest, sure = _newest_opset(cann)
    if version > newest:
        known = "reads up to" if sure else "is not known to read more than"
        detail = f"The graph is of opset {version}; CANN {cann or '(unknown)'} {known} {newest}."
        severity = "error" if sure else "warning"
        yield _finding("opset", severity, "The operator set is newer than the converter reads", detail, remedy)
    if quantised and not carries and version > AMCT_OPSET:
        sure = older(cann, AMCT_UNKNOWN)
        detail = f"The graph is of opset {version}; AMCT of CANN 8.0 reads {AMCT_OPSET}."
        if not sure:
            detail += f" What that of CANN {cann or '(unknown)'} reads is not confirmed."
        yield _finding("opset", "error" if sure else "warning", "AMCT reads opset 11", detail, remedy)


def _newest_opset(cann: str) -> tuple[int, bool]:
    """(newest opset the parser reads, whether the vendor says so). Between 5 and 9 only 13 was seen to work."""
    if not cann:
        return 13, False
    if older(cann, "6.0"):
        return 11, True
    return (13, False) if older(cann, "9.0") else (18, True)


def _domains(model: Any) -> Iterator[Finding]:
    domains = [entry.domain or "ai.onnx" for entry in model.opset_import]
    if len(domains) < 2:
        return
    twice = domains.count("ai.onnx") > 1
    detail = f"The model imports {', '.join(domains)}; atc wants one (E16005: several domain_version fields)."
    remedy = "Keep the import of the standard operators alone where nothing uses the others."
    used = {node.domain or "ai.onnx" for node in model.graph.node}
    severity = "error" if twice else "warning" if len(used) == 1 else "info"
    yield _finding("domains", severity, "Several operator sets are imported", detail, remedy)


def _quantisation(model: Any, quantised: bool) -> Iterator[Finding]:
    integer = [node for node in model.graph.node if node.op_type in INTEGER]
    if integer:
        detail = (
            f"{_counted(integer)}. Neither atc nor `amct_onnx convert` reads these; they are another runtime's INT8."
        )
        remedy = "Give the float model, or one with QuantizeLinear and DequantizeLinear."
        yield _finding("quantised", "error", "INT8 operators of another runtime", detail, remedy, _names_of(integer))
    nodes = [node for node in model.graph.node if node.op_type in QDQ]
    if nodes and quantised:
        detail = f"{_counted(nodes)}. `amct_onnx convert` takes the scales over; nothing is calibrated again."
        yield _finding("quantised", "info", "The model carries its own quantisation", detail, "", argues_for=("int8",))
    elif nodes:
        detail = f"{_counted(nodes)}. That plain atc makes INT8 of it is not confirmed, and its parser may refuse it."
        remedy = "Build it as INT8 (it goes through `amct_onnx convert`), or give the float model."
        yield _finding("quantised", "error", "A quantised graph goes to plain atc", detail, remedy, _names_of(nodes))


def _counted(nodes: list[Any]) -> str:
    return f"{len(nodes)} × {', '.join(sorted({_short(node.op_type) for node in nodes})[:8])}"


def _free_axes(model: Any, soc_version: str) -> Iterator[Finding]:
    free = [value for value in surgery.inputs(model) if {None, 0} & set(surgery.shape_of(value))]
    if free:
        told = [f"{_short(v.name)} ({'×'.join(str(n or '?') for n in surgery.shape_of(v))})" for v in free[:6]]
        no = "this chip runs fixed shapes and gears only" if "310B" in soc_version else "fixed shapes are faster"
        detail = f"The inputs {', '.join(told)} have dimensions without a size; {no}."
        remedy = "Give the shape (model: {inputs: …}); the batch is fixed by the build, several by dynamic_dims gears."
        yield _finding("free-axes", "warning", "Inputs without a fixed shape", detail, remedy, [v.name for v in free])


def _beyond_fp16(model: Any) -> Iterator[Finding]:
    largest = float(np.finfo(np.float16).max)
    names = []
    for name, value in surgery.constants(model).items():
        if value.dtype in (np.float32, np.float64) and value.size and float(np.nanmax(np.abs(value))) > largest:
            names.append(_short(name))
    if names:
        detail = f"The constants {', '.join(names[:5])} are beyond ±65504; atc clips them (--is_weight_clip) in fp16."
        remedy = "If the golden check finds other results, build with mixed_float16 or origin."
        yield _finding(
            "fp16-range", "info", "Constants beyond the range of fp16", detail, remedy, names, ("fp16-mixed",)
        )


def _high_rank(model: Any, shapes: Mapping[str, tuple[int | None, ...]]) -> Iterator[Finding]:
    fixed = set(surgery.constants(model))
    nodes = [
        node
        for node in model.graph.node
        if any(len(shapes.get(name, ())) > 4 for name in [*node.input, *node.output] if name not in fixed)
    ]
    if nodes:
        kinds = ", ".join(sorted({node.op_type for node in nodes}))
        detail = f"{len(nodes)} nodes ({kinds}) have tensors of five dimensions or more; some chips refuse them."
        remedy = "Keep raw heads (split_head cuts before them), or write the part with four dimensions."
        yield _finding("5d", "warning", "Tensors of five dimensions", detail, remedy, _names_of(nodes), ("split-head",))


def _long_integers(model: Any, types: Mapping[str, int]) -> Iterator[Finding]:
    import onnx

    wide = {name for name, kind in types.items() if kind == onnx.TensorProto.INT64}
    computed = [
        node for node in model.graph.node
        if node.op_type not in SHAPES_ONLY and any(name in wide for name in node.output)
    ]  # fmt: skip
    fed = [value.name for value in surgery.inputs(model) if value.name in wide]
    bounds = np.iinfo(np.int32)
    large = [
        name for name, value in surgery.constants(model).items()
        if value.dtype == np.int64 and value.size and (value.max() > bounds.max or value.min() < bounds.min)
        and not _is_open_end(value)
    ]  # fmt: skip
    if large:
        detail = f"The constants {', '.join(map(_short, large[:5]))} do not fit into INT32, which atc turns INT64 into."
        yield _finding("int64", "warning", "INT64 constants that overflow", detail, "Use smaller numbers.", large)
    if fed:
        detail = f"The inputs {', '.join(map(_short, fed[:5]))} are INT64; atc documents FP32, FP16 and UINT8 for ONNX."
        yield _finding("int64", "warning", "INT64 inputs", detail, "Feed INT32 and cast inside if atc refuses.", fed)
    if computed:
        kinds = ", ".join(sorted({node.op_type for node in computed}))
        detail = f"{len(computed)} nodes ({kinds}) compute INT64; atc uses INT32 where it can, and warns."
        remedy = "Harmless unless a value exceeds 2³¹ or INT64 meets INT32 (cast to INT32 then)."
        yield _finding("int64", "info", "INT64 arithmetic", detail, remedy, _names_of(computed))


def _is_open_end(value: Any) -> bool:
    """The "to the end" of a Slice, which exporters write as the largest number there is."""
    ends = (np.iinfo(np.int64).max, np.iinfo(np.int64).min, np.iinfo(np.int64).max - 1, np.iinfo(np.int64).min + 1)
    bounds = np.iinfo(np.int32)
    return all(int(n) in ends or bounds.min <= int(n) <= bounds.max for n in value.ravel()[:1000])


def _doubles(types: Mapping[str, int]) -> Iterator[Finding]:
    import onnx

    names = [name for name, kind in types.items() if kind == onnx.TensorProto.DOUBLE]
    if names:
        detail = f"{len(names)} tensors are DOUBLE, which the AI core does not compute: they go to the AI CPU, slowly."
        yield _finding("double", "warning", "DOUBLE tensors", detail, "Export the model in float32.", names)


def _resizes(model: Any) -> Iterator[Finding]:
    for node in model.graph.node:
        if node.op_type != "Resize":
            continue
        mode = _text(surgery.attribute(node, "mode", "nearest"))
        where = _text(surgery.attribute(node, "coordinate_transformation_mode", "half_pixel"))
        if mode == "cubic" or where == "tf_crop_and_resize":
            name = _short(node.name or node.output[0])
            detail = f"{name} resizes with mode {mode}, {where}; not every chip has a kernel for that."
            remedy = "Use mode nearest or linear, and check the golden samples."
            yield _finding("resize", "warning", "A rare kind of Resize", detail, remedy, _names_of([node]))


def _names(model: Any) -> Iterator[Finding]:
    names = [value.name for value in [*surgery.inputs(model), *model.graph.output]]
    long = [name for name in names if len(name.encode()) > LONGEST_NAME]
    if long:
        detail = f"{_short(long[0])} has {len(long[0])} characters; AscendCL replaces such names (acl_modelId_…)."
        yield _finding("names", "info", "Names longer than 127", detail, "Nothing: our programs go by index.", long)
    odd = [value.name for value in surgery.inputs(model) if set(value.name) & set(";,\"'$`\\\n ")]
    if odd:
        detail = f"The input '{_short(odd[0])}' has signs that --input_shape cannot carry."
        yield _finding("names", "error", "A name that atc cannot be given", detail, "Rename the input.", odd)


def _types(model: Any) -> dict[str, int]:
    """Element type by tensor name as far as ONNX's inference can tell; initialisers included."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # inference is advice only
        graph = model.graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _names_of(nodes: list[Any]) -> list[str]:
    return [_short(node.name or (node.output[0] if node.output else node.op_type)) for node in nodes]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _short(name: str) -> str:
    name = "".join(c if c.isprintable() else " " for c in name)
    return name if len(name) <= 80 else f"{name[:79]}…"
