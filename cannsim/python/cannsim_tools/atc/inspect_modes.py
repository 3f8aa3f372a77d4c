"""Modes 1, 5 and 6: a model as JSON, a dumped text graph as JSON, what an .om says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from ..om import Manifest, OmError, read_om, unquote
from ..prototxt import Block, ProtoTextError, parse
from ..vendor_error import VendorError
from .flags import Options


def model_to_json(options: Options) -> None:
    """Mode 1: --om (an .om of the stand-in, or an ONNX file with --framework=5) to --json."""
    source, target = _ends(options)
    if options["framework"] == "5":
        model = onnx.load(source, load_external_data=False)
        content: dict[str, Any] = {"graph": [_graph(model)]}
    else:
        manifest, network = _read(source)
        content = {"name": unquote(manifest.first("name")), "simulated": True, "attr": _attributes(manifest)}
        content["graph"] = [_graph(onnx.load_from_string(network))]
    target.write_text(json.dumps(content, indent=1))


def text_to_json(options: Options) -> None:
    """Mode 5: a graph dumped as protobuf text to JSON."""
    source, target = _ends(options)
    try:
        target.write_text(json.dumps(_plain(parse(source.read_text())), indent=1))
    except (ProtoTextError, UnicodeDecodeError):
        raise VendorError("E19018", source) from None


def display_model_info(path: str) -> str:
    """Mode 6: the block atc prints. Sizes are of the stand-in's file, stream and event numbers what it uses."""
    manifest, network = _read(Path(path))
    lines = [
        "============ Display Model Info start ============",
        f"Original Atc command line: {manifest.first('atc_cmdline')}",
        f"system   info: atc_version[{manifest.first('cann')}], soc_version[{manifest.first('soc')}], "
        f"framework_type[{manifest.first('framework')}], simulated[cannsim].",
        f"resource info: memory_size[{manifest.first('work_size')} B], weight_size[{manifest.first('weight_size')} B], "
        "stream_num[1], event_num[0].",
        f"om       info: modeldef_size[{len(network)} B], weight_data_size[{manifest.first('weight_size')} B], "
        "tbe_kernels_size[0 B], cust_aicpu_kernel_store_size[0 B], task_info_size[0 B].",
        "============ Display Model Info end   ============",
    ]
    return "\n".join(lines)


def _ends(options: Options) -> tuple[Path, Path]:
    for name in ("om", "json"):
        if not options[name]:
            raise VendorError("E10004", name)
    source = Path(options["om"])
    if not source.is_file():
        raise VendorError("E10001", source, "--om", f"The file [{source}] does not exist or cannot be read.")
    return source, Path(options["json"])


def _read(path: Path) -> tuple[Manifest, bytes]:
    try:
        return read_om(path)
    except OSError as problem:
        raise VendorError("E10001", path, "--om", f"The file cannot be read: {problem.strerror}.") from None
    except OmError as problem:
        raise VendorError("E10001", path, "--om", f"{str(problem).capitalize()}.") from None


def _attributes(manifest: Manifest) -> list[dict[str, str]]:
    return [{"key": key, "value": words} for key, words in manifest.lines if key not in ("op",)]


def _graph(model: onnx.ModelProto) -> dict[str, Any]:
    nodes = [
        {"name": node.name, "type": node.op_type, "input": list(node.input), "output": list(node.output)}
        for node in model.graph.node
    ]
    ends = {"input": [v.name for v in model.graph.input], "output": [v.name for v in model.graph.output]}
    return {"name": model.graph.name, **ends, "op": nodes}


def _plain(block: Block) -> dict[str, Any]:
    """Lists of one value become that value, as protobuf's JSON prints a field that does not repeat."""
    made: dict[str, Any] = {}
    for name, values in block.items():
        plain = [_plain(value) if isinstance(value, dict) else value for value in values]
        made[name] = plain[0] if len(plain) == 1 else plain
    return made
