"""Mode 0: the whole way from an ONNX file to an .om."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..chips import CHIPS
from ..installation import installation
from ..om import Manifest, dims_text, escape, write_om
from ..onnx_model import (
    constants_to_initializers,
    dims_of,
    element_types,
    load,
    name_nodes,
    opset_of,
    real_inputs,
    static_shapes,
)
from ..vendor_error import VendorError
from .aipp_config import Aipp, check_against, manifest_words, read_aipp
from .flags import Options
from .fusion import fuse
from .lowering import Lowering, widen_half_model
from .operators import cann_type, check_operators
from .option_checks import read_op_precision
from .precision import FLOAT, HALF, INT8, effective_mode, plan
from .quantised import is_deploy_model, lower_quantised
from .shapes import Gears, parse_gears, parse_input_shape, shapes_of_gear
from .side_files import write_check_result, write_fusion_result

ACL_TYPES = {
    TensorProto.FLOAT: (0, "FLOAT", 4), TensorProto.FLOAT16: (1, "FLOAT16", 2), TensorProto.INT8: (2, "INT8", 1),
    TensorProto.INT32: (3, "INT32", 4), TensorProto.UINT8: (4, "UINT8", 1), TensorProto.INT16: (6, "INT16", 2),
    TensorProto.UINT16: (7, "UINT16", 2), TensorProto.UINT32: (8, "UINT32", 4), TensorProto.INT64: (9, "INT64", 8),
    TensorProto.UINT64: (10, "UINT64", 8), TensorProto.DOUBLE: (11, "DOUBLE", 8), TensorProto.BOOL: (12, "BOOL", 1),
    TensorProto.BFLOAT16: (27, "BF16", 2),
}  # fmt: skip
OUTPUT_TYPES = {
    "FP32": TensorProto.FLOAT, "FP16": TensorProto.FLOAT16, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16,
    "UINT16": TensorProto.UINT16, "UINT8": TensorProto.UINT8, "INT32": TensorProto.INT32, "INT64": TensorProto.INT64,
    "UINT32": TensorProto.UINT32, "UINT64": TensorProto.UINT64, "DOUBLE": TensorProto.DOUBLE,
}  # fmt: skip
FORMAT_NCHW, FORMAT_ND = 0, 2


@dataclass
class Job:
    """A model on its way, with what the command line said about it."""

    options: Options
    model: onnx.ModelProto
    shapes: dict[str, list[int]]  # by input name, -1 where a gear decides
    gears: Gears | None
    aipp: list[Aipp]
    outputs: list[str]  # vendor's names


def convert(options: Options, command: list[str]) -> Path:
    """Writes the .om and the side files; the path of the .om. VendorError when the tool would refuse."""
    gears = parse_gears(options)
    read_op_precision(options["op_precision_mode"])
    job = _open(options, gears)
    quantised = is_deploy_model(job.model)
    if quantised and gears:
        raise VendorError("E10055", "a model quantised by AMCT cannot have gears")
    constants_to_initializers(job.model)
    already_half = widen_half_model(job.model)
    statistics = fuse(job.model, options["fusion_switch_file"])
    int8_nodes, quantisers = lower_quantised(job.model) if quantised else (set(), set())
    types = element_types(_at_largest(job))
    precision = plan(job.model, options, already_half)
    precision.update((name, FLOAT) for name in quantisers)
    precision.update((name, INT8) for name in int8_nodes)
    Lowering(job.model, types, precision).run()
    _type_ends(job)
    write_fusion_result(options, statistics)
    for name in quantisers:  # no operators of the device's graph
        del precision[name]
    return _write(job, precision, command)


def precheck(options: Options) -> None:
    """Mode 3: the report is written whatever it says; VendorError when an operator is refused."""
    model = load(options["model"])
    name_nodes(model)
    refused = check_operators(model)
    write_check_result(options["check_report"], options["model"], model, refused)
    if refused:
        raise refused[0][2]


def _open(options: Options, gears: Gears | None) -> Job:
    model = load(options["model"])
    name_nodes(model)
    refused = check_operators(model)
    if refused:
        write_check_result(options["check_report"], options["model"], model, refused)
        raise refused[0][2]
    outputs = _select_outputs(model, options["out_nodes"])
    shapes = _input_shapes(model, options, gears)
    aipp = read_aipp(options["insert_op_conf"])
    chip = CHIPS[options["soc_version"]]
    names = list(shapes)
    for one in aipp:
        if one.rank >= len(names):
            raise VendorError("E10052", f"related_input_rank {one.rank} is beyond the model's {len(names)} inputs.")
        check_against(one, shapes[names[one.rank]], chip, gears is not None and gears.kind == "image")
        if names[one.rank] in options["input_fp16_nodes"].split(";"):
            raise VendorError("E10034", names[one.rank])
    return Job(options, model, shapes, gears, aipp, outputs)


def _input_shapes(model: onnx.ModelProto, options: Options, gears: Gears | None) -> dict[str, list[int]]:
    """Every real input's dims; those of --input_shape win over the file's, which then takes them."""
    asked = parse_input_shape(options["input_shape"])
    own = {value.name: dims_of(value) for value in real_inputs(model)}
    for name, dims in asked.items():
        if name not in own:
            raise VendorError("E10016", name, "input_shape")
        if len(dims) != len(own[name]):
            raise VendorError("E10049", len(dims), len(own[name]))
    shapes = {name: asked.get(name, dims) for name, dims in own.items()}
    for name, dims in shapes.items():
        if -1 in dims and not (gears and name in asked):
            reason = f"Input [{name}] has dimensions that are not fixed; give them in --input_shape."
            raise VendorError("E10001", dims_text(dims), "--input_shape", reason)
    for value in real_inputs(model):
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for axis, dim in enumerate(shapes[value.name]):
            shape.dim.add(**({"dim_param": f"{value.name}_{axis}"} if dim == -1 else {"dim_value": dim}))
    for output in model.graph.output:  # what was written there belonged to the old shape
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return shapes


def _select_outputs(model: onnx.ModelProto, out_nodes: str) -> list[str]:
    """The vendor's names of the outputs; with --out_nodes the graph is cut there."""
    nodes = {node.name: node for node in model.graph.node}
    if not out_nodes:
        makers = {name: (node, at) for node in model.graph.node for at, name in enumerate(node.output)}
        names = []
        for output in model.graph.output:
            node, at = makers.get(output.name, (None, 0))
            names.append(f"{node.name if node else output.name}:{at}:{output.name}")
        return names
    types = element_types(model)
    # A quantised layer's own output is sums in int32; what is meant is the layer's result.
    dequantised = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "AscendDequant"}
    chosen = []
    for part in filter(None, out_nodes.split(";")):
        name, _, index = part.rpartition(":")
        if name not in nodes or not index.isdigit() or int(index) >= len(nodes[name].output):
            raise VendorError("E11017", part)
        tensor = nodes[name].output[int(index)]
        chosen.append((name, int(index), dequantised.get(tensor, tensor)))
    del model.graph.output[:]
    for _, _, tensor in chosen:
        model.graph.output.append(helper.make_tensor_value_info(tensor, types.get(tensor, TensorProto.FLOAT), None))
    _prune(model)
    return [f"{name}:{index}" for name, index, _ in chosen]


def _prune(model: onnx.ModelProto) -> None:
    """Drops what no output needs; inputs stay, as the file declares them."""
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name in needed or value.name in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _at_largest(job: Job) -> onnx.ModelProto:
    """The model with its largest gear's shapes written in, for inference of what depends on them."""
    if job.gears is None:
        return job.model
    fixed = onnx.ModelProto()
    fixed.CopyFrom(job.model)
    largest = max((shapes_of_gear(job.shapes, job.gears, key) for key in job.gears.keys), key=_elements)
    for value in real_inputs(fixed):
        for axis, dim in enumerate(largest[value.name]):
            value.type.tensor_type.shape.dim[axis].dim_value = dim
    return fixed


def _elements(shapes: dict[str, list[int]]) -> int:
    return sum(int(np.prod(dims)) for dims in shapes.values())


def _type_ends(job: Job) -> None:
    """--output_type and --input_fp16_nodes: casts at the ends of the network."""
    graph = job.model.graph
    whole = job.options["output_type"]
    wanted: dict[int, int] = {}
    for part in filter(None, whole.split(";")):
        where, _, kind = part.rpartition(":")
        matches = [
            at for at, name in enumerate(job.outputs) if not where or name == where or name.startswith(where + ":")
        ]
        if not matches:
            raise VendorError("E10016", where.rpartition(":")[0], "output_type")
        wanted.update(dict.fromkeys(matches, OUTPUT_TYPES[kind]))
    for at, kind in wanted.items():
        output = graph.output[at]
        if output.type.tensor_type.elem_type == kind:
            continue
        before = f"{output.name}/before_output_type"
        for node in graph.node:
            node.output[:] = [before if name == output.name else name for name in node.output]
            node.input[:] = [before if name == output.name else name for name in node.input]
        graph.node.append(helper.make_node("Cast", [before], [output.name], name=f"{output.name}/output_type", to=kind))
        output.type.tensor_type.elem_type = kind
    for name in filter(None, job.options["input_fp16_nodes"].split(";")):
        value = next((one for one in graph.input if one.name == name), None)
        if value is None:
            raise VendorError("E10016", name, "input_fp16_nodes")
        wide = f"{name}/from_fp16"
        for node in graph.node:
            node.input[:] = [wide if one == name else one for one in node.input]
        graph.node.insert(0, helper.make_node("Cast", [name], [wide], name=wide, to=TensorProto.FLOAT))
        value.type.tensor_type.elem_type = TensorProto.FLOAT16


def _output_shapes(network: bytes, feeds: list[dict[str, list[int]]]) -> tuple[list[list[list[int]]], list[int]]:
    """Output dims for each set of input dims, and output element types, as OpenVINO infers them.

    VendorError when the network cannot take a shape: a reshape with the exported size written into it, usually.
    """
    import openvino as ov

    core = ov.Core()
    all_dims, kinds = [], []
    for shapes in feeds:
        try:
            read = core.read_model(network, b"")
            read.reshape({name: ov.PartialShape(dims) for name, dims in shapes.items()})
        except RuntimeError as problem:
            text = " ".join(f"{name}:{dims_text(dims)}" for name, dims in shapes.items())
            why = str(problem).strip().splitlines()[-1][:200] if str(problem).strip() else "unknown"
            raise VendorError("E10001", text, "--input_shape", f"The model cannot take this shape: {why}") from None
        if any(output.partial_shape.is_dynamic for output in read.outputs):
            node = next(output for output in read.outputs if output.partial_shape.is_dynamic)
            raise VendorError("E10055", f"output {sorted(node.names)} has a shape that depends on the data")
        all_dims.append([list(output.shape) for output in read.outputs])
        kinds = [output.element_type.get_type_name() for output in read.outputs]
    onnx_kinds = {
        "f32": 1, "f16": 10, "i8": 3, "u8": 2, "i16": 5, "u16": 4, "i32": 6, "i64": 7, "u32": 12, "u64": 13, "f64": 11,
        "boolean": 9, "bf16": 16,
    }  # fmt: skip
    return all_dims, [onnx_kinds[kind] for kind in kinds]


def _write(job: Job, precision: dict[str, str], command: list[str]) -> Path:
    options, graph = job.options, job.model.graph
    network = job.model.SerializeToString()
    keys = job.gears.keys if job.gears else ()
    feeds = [shapes_of_gear(job.shapes, job.gears, key) for key in keys] if job.gears else [job.shapes]
    output_dims, output_kinds = _output_shapes(network, feeds)
    largest = max(range(len(feeds)), key=lambda at: _elements(feeds[at]))
    manifest = Manifest()
    manifest.add("simulated", "1")
    manifest.add("soc", options["soc_version"])
    manifest.add("cann", installation().cann)
    manifest.add("name", escape(Path(options["output"]).name))
    manifest.add("atc_cmdline", shlex.join(["atc", *command]).replace("\n", " "))
    manifest.add("framework", "ONNX")
    manifest.add("opset", opset_of(job.model))
    manifest.add("precision_mode", effective_mode(options))
    weights = sum(len(numpy_helper.to_array(tensor).tobytes()) for tensor in graph.initializer)
    manifest.add("weight_size", weights)
    manifest.add("work_size", _work_size(job, precision, feeds[largest]))
    nchw = options["input_format"] in ("", "NCHW")
    for value in graph.input:
        dims = job.shapes[value.name]
        layout = FORMAT_NCHW if len(dims) == 4 and nchw else FORMAT_ND
        kind = ACL_TYPES[value.type.tensor_type.elem_type][0]
        manifest.add("input", escape(value.name), kind, layout, dims_text(dims))
    for at, name in enumerate(job.outputs):
        manifest.add(
            "output", escape(name), ACL_TYPES[output_kinds[at]][0], FORMAT_ND, dims_text(output_dims[largest][at])
        )
    if job.gears:
        manifest.add("gear_kind", job.gears.kind)
        for key, inputs, outputs in zip(keys, feeds, output_dims, strict=True):
            ends = [";".join(dims_text(dims) for dims in group) for group in (inputs.values(), outputs)]
            manifest.add("gear", dims_text(list(key)), *ends)
    names = list(job.shapes)
    for one in job.aipp:
        manifest.add("aipp", *manifest_words(one, feeds[largest][names[one.rank]]))
    _describe_operators(job, precision, feeds[largest], manifest)
    suffix = ".om"
    if options["host_env_cpu"] and options["host_env_cpu"] != platform.machine():
        suffix = f"_linux_{options['host_env_cpu']}.om"  # bound to the architecture it was built for
    path = Path(options["output"] + suffix)
    try:
        write_om(path, manifest, network)
    except OSError as problem:
        raise VendorError("E19004", path, problem.strerror) from None
    return path


def _work_size(job: Job, precision: dict[str, str], shapes: dict[str, list[int]]) -> int:
    """Bytes of the largest operator's tensors in fp16, twice: approximates a device's workspace."""
    largest = 0
    known = _shapes_at(job, shapes)
    for node in job.model.graph.node:
        names = [*node.input, *node.output]
        total = sum(int(np.prod(known[name])) for name in names if name in known and -1 not in known[name])
        largest = max(largest, total)
    return (largest * 2 * 2 + 511) // 512 * 512


def _shapes_at(job: Job, shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(job.model)
    for value in fixed.graph.input:
        for axis, dim in enumerate(shapes[value.name]):
            value.type.tensor_type.shape.dim[axis].dim_value = dim
    try:
        return static_shapes(fixed)
    except Exception:  # an operator onnx cannot infer: sizes are then only a lower bound
        return {}


def _describe_operators(job: Job, precision: dict[str, str], shapes: dict[str, list[int]], manifest: Manifest) -> None:
    """One `op` line an operator, for the profiler: name, CANN type, shapes and types in and out."""
    known = _shapes_at(job, shapes)
    wide = {HALF: "FLOAT16", INT8: "INT8", "bf16": "BF16", "fp16in": "FLOAT16"}
    for node in job.model.graph.node:
        if node.name not in precision:
            continue
        kind = wide.get(precision[node.name], "FLOAT")
        into = [dims_text(known.get(name, [])) for name in node.input if name]
        out = [dims_text(known.get(name, [])) for name in node.output if name]
        out_kind = "FLOAT16" if kind == "INT8" else kind
        words = [
            ";".join(into) or "N/A",
            ";".join([kind] * len(into)) or "N/A",
            ";".join(out),
            ";".join([out_kind] * len(out)),
        ]
        manifest.add("op", escape(node.name), cann_type(node.op_type), *words)
