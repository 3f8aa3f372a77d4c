"""`amct_onnx`: the words on the command line to an exit status."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from ..atc.fusion import fuse
from ..atc.shapes import parse_input_shape
from ..onnx_model import constants_to_initializers, dims_of, load, name_nodes, opset_of, real_inputs
from ..vendor_error import VendorError
from .config import AmctError, read_config
from .deploy import Quantised, save
from .layers import quantisable_layers, quantise_weight
from .observe import choose_scale, observe
from .qat import read_qat

NEWEST_OPSET = 11  # of AMCT ONNX 8.0; what 9.0 takes is not known
TYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "int8": np.int8,
}


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser("amct_onnx", description="Quantises ONNX models (cannsim: simulated).")
    verbs = root.add_subparsers(dest="verb", required=True)
    calibration = verbs.add_parser("calibration", help="post-training quantisation with calibration data")
    calibration.add_argument("--model", required=True, help="the ONNX model")
    calibration.add_argument("--save_path", required=True, help="folder and prefix of the results")
    calibration.add_argument("--input_shape", default="", help='"name:dims;name:dims"')
    calibration.add_argument("--data_dir", default="", help="folders of .bin files, one an input, separated by ;")
    calibration.add_argument("--data_types", default="", help="float32 and the like, one an input, separated by ;")
    calibration.add_argument("--batch_num", type=int, help="batches to calibrate with (default 1)")
    calibration.add_argument("--calibration_config", default="", help="simplified configuration, prototxt")
    calibration.add_argument("--evaluator", default="", help="Python file (absent from the stand-in)")
    convert = verbs.add_parser("convert", help="turns a model trained with quantisation into a deploy model")
    convert.add_argument("--model", required=True)
    convert.add_argument("--save_path", required=True)
    return root


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    started = time.monotonic()
    try:
        model = _load(options.model, options.verb == "convert")
        layers = read_qat(model) if options.verb == "convert" else calibrate(model, options)
        paths = save(model, layers, options.save_path)
    except (AmctError, VendorError) as problem:
        _log(f"[ERROR][AMCT]:[AMCT]: {problem}")
        return 1
    for path in paths:
        _log(f"[INFO][AMCT]:[Save]: {path}")
    _log(f"[INFO][AMCT]:[AMCT]: {len(layers)} layers quantised in {time.monotonic() - started:.1f} s (simulated)")
    return 0


def _log(text: str) -> None:
    print(text, flush=True)
    folder = Path("amct_log")
    folder.mkdir(exist_ok=True)
    with (folder / "amct_onnx.log").open("a") as file:
        file.write(time.strftime("%Y-%m-%d %H:%M:%S ", time.gmtime()) + text + "\n")


def _load(path: str, quantised: bool) -> onnx.ModelProto:
    model = load(path)
    if opset_of(model) > NEWEST_OPSET and not quantised:  # a model with quantisation by channel is opset 13
        raise AmctError(f"the model has opset {opset_of(model)}; up to {NEWEST_OPSET} is supported")
    name_nodes(model)
    constants_to_initializers(model)
    return model


def calibrate(model: onnx.ModelProto, options: argparse.Namespace) -> list[Quantised]:
    """The layers with their scales. Fuses BatchNormalization into the model first, in place."""
    if options.evaluator:
        raise AmctError("--evaluator is absent from the stand-in")
    if options.batch_num is not None and options.calibration_config:
        raise AmctError("--batch_num and --calibration_config are mutually exclusive")
    config = read_config(options.calibration_config, 1 if options.batch_num is None else options.batch_num)
    if config.batch_num < 1:
        raise AmctError("batch_num must be greater than 0")
    if config.do_fusion:
        fuse(model, "")
    shapes = _fix_shapes(model, options.input_shape)
    layers = quantisable_layers(model, config)
    if not layers:
        raise AmctError("the model has no layer that can be quantised")
    tensors = list(dict.fromkeys(layer.node.input[0] for layer in layers))
    seen = observe(model, tensors, _batches(options, shapes, config.batch_num))
    chosen: dict[str, tuple[float, int]] = {}
    made = []
    for layer in layers:
        settings = config.of(layer.node.name, layer.node.op_type)
        offset = config.activation_offset if settings.asymmetric is None else settings.asymmetric
        source = layer.node.input[0]
        if source not in chosen:  # readers of one tensor share one grid
            chosen[source] = choose_scale(seen[source], settings, offset)
        weight, scale = quantise_weight(layer, settings.channel_wise)
        made.append(Quantised(layer, *chosen[source], weight, scale))
    return made


def _fix_shapes(model: onnx.ModelProto, text: str) -> dict[str, list[int]]:
    """Writes --input_shape into the model, so that the deploy model keeps the batch it was calibrated with."""
    asked = parse_input_shape(text)
    shapes = {}
    for value in real_inputs(model):
        dims = asked.pop(value.name, dims_of(value))
        if -1 in dims:
            raise AmctError(f"input {value.name} has dimensions that are not fixed; give them in --input_shape")
        for axis, dim in enumerate(dims):
            value.type.tensor_type.shape.dim[axis].dim_value = dim
        shapes[value.name] = dims
    if asked:
        raise AmctError(f"--input_shape names inputs the model lacks: {', '.join(asked)}")
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return shapes


def _batches(options: argparse.Namespace, shapes: dict[str, list[int]], count: int) -> Iterator[dict[str, np.ndarray]]:
    folders = [part for part in options.data_dir.split(";") if part]
    kinds = [part for part in options.data_types.split(";") if part]
    if len(folders) != len(shapes) or len(kinds) != len(shapes):
        raise AmctError(f"--data_dir and --data_types must have one entry for each of the {len(shapes)} inputs")
    files: dict[str, list[Path]] = {}
    for name, folder, kind in zip(shapes, folders, kinds, strict=True):
        if kind not in TYPES:
            raise AmctError(f"data type {kind} is not one of {', '.join(TYPES)}")
        files[name] = sorted(Path(folder).glob("*.bin"))
        if len(files[name]) < count:
            raise AmctError(f"{folder} has {len(files[name])} .bin files, batch_num is {count}")
    for at in range(count):
        feeds = {}
        for name, kind in zip(shapes, kinds, strict=True):
            values = np.fromfile(files[name][at], TYPES[kind])
            expected = int(np.prod(shapes[name]))
            if values.size != expected:
                raise AmctError(
                    f"input image size[{values.nbytes}] is not equal to model input size"
                    f"[{expected * values.itemsize}] in {files[name][at]}"
                )
            feeds[name] = values.reshape(shapes[name])
        yield feeds
