"""What a graph already carries of quantisation: Q/DQ pairs of training, or the layers of an AMCT deploy model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

QDQ = ("QuantizeLinear", "DequantizeLinear")
DEPLOYED = ("AscendQuant", "AscendDequant")


def is_quantised(path: Path) -> bool:
    """Whether the ONNX file has quantisation of its own; False where it cannot be read (loading says that better)."""
    return bool(_kinds(str(path)).intersection((*QDQ, *DEPLOYED)))


@lru_cache(maxsize=16)
def _kinds(path: str) -> frozenset[str]:
    import onnx

    if not Path(path).is_file():
        return frozenset()
    return frozenset(node.op_type for node in onnx.load(path, load_external_data=False).graph.node)


def counts(deployed: Any) -> dict[str, int]:
    """Weighted operators of a deploy model, and how many of them AMCT laid out for INT8 (an AscendDequant follows)."""
    weighted = [n for n in deployed.graph.node if n.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm")]
    read = {name for node in deployed.graph.node if node.op_type == "AscendDequant" for name in node.input}
    return {"weighted": len(weighted), "int8": sum(any(out in read for out in node.output) for node in weighted)}
