"""What atc leaves beside the model: fusion_result.json, check_result.json, kernel_meta."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import onnx

from ..vendor_error import VendorError
from .flags import Options


def write_fusion_result(options: Options, statistics: dict[str, Any]) -> None:
    """In the working directory, or under $ASCEND_WORK_PATH/FE/<pid>; not at all with --export_compile_stat=0."""
    if options["export_compile_stat"] == "0":
        return
    folder = Path.cwd()
    if os.environ.get("ASCEND_WORK_PATH"):
        folder = Path(os.environ["ASCEND_WORK_PATH"]) / "FE" / str(os.getpid())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"session_and_graph_id_0_0": statistics}, indent=4)
        (folder / "fusion_result.json").write_text(text)
        if options["op_debug_level"] not in ("0", "", "3"):
            (Path(options["debug_dir"] or folder) / "kernel_meta").mkdir(parents=True, exist_ok=True)
        else:
            (folder / "kernel_meta").mkdir(exist_ok=True)
    except OSError as problem:
        raise VendorError("E19004", folder, problem.strerror) from None


def write_check_result(
    report: str, path: str, model: onnx.ModelProto, refused: list[tuple[onnx.NodeProto, str, VendorError]]
) -> None:
    """The pre-check's report: every refused operator with its full type."""
    total = len(model.graph.node)
    content = {
        "name": Path(path).name,
        "result": "failed" if refused else "success",
        "total": total,
        "pass": total - len(refused),
        "fail": len(refused),
        "op": [
            {
                "name": node.name,
                "type": kind,
                "result": "failed",
                "cause": [{"code": 1, "message": "The type is not supported."}],
            }
            for node, kind, _ in refused
        ],
    }
    Path(report or "check_result.json").write_text(json.dumps(content, indent=4))
