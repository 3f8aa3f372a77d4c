"""ONNX → OpenVINO's own graph → IR files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgewright.core.errors import ToolError
from edgewright.targets import emit
from edgewright.targets.openvino import libraries


def convert(model: Any) -> Any:
    """The openvino.Model of an onnx.ModelProto, after OpenVINO's own fusions.

    `convert_model` and not `read_model`: only the first fuses x·σ(x) into Swish, and a Swish that NNCF does not see
    gets quantised in pieces, which no convolution can take in afterwards (a third of a YOLOv5's time).
    """
    openvino = libraries.openvino()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        emit.write_graph(model, path)
        try:
            return openvino.convert_model(str(path))
        except Exception as error:  # the front end raises several unrelated classes
            reason = " ".join(str(error).split())[:300]
            raise ToolError(
                f"OpenVINO cannot read this graph: {reason}", "Try the family onnxruntime for this model."
            ) from error


def save(network: Any, path: Path, *, halve: bool) -> None:
    """Writes `path` (.xml) and its .bin. `halve` stores float weights as fp16: only where they will be computed so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    libraries.openvino().save_model(network, str(path), compress_to_fp16=halve)
