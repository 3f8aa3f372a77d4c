"""INT8 by NNCF post-training quantisation, on calibration data prepared as on the device.

Method: symmetric INT8 weights per channel, UINT8 activations, fast bias correction (NNCF, "Post-training Quantization",
docs.openvino.ai). The preset `mixed` gives activations a zero point: SiLU reaches down to -0.28, and a symmetric
scale would spend half of its codes there (on a YOLOv5n the scores' error is 1.6 times smaller, at the same speed).
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgewright.core.errors import EdgewrightError, ToolError
from edgewright.targets.calibration import Calibration, Feeds
from edgewright.targets.openvino import libraries

MOST_SAMPLES = 300
WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")


def quantise(network: Any, calibration: Calibration, settings: Mapping[str, Any], keep_float: Sequence[str]) -> Any:
    """The quantised openvino.Model.

    `settings`: preset ("mixed" | "performance"), model_type ("" | "transformer"), fast_bias_correction (bool).
    `keep_float` names nodes that stay in float. ToolError where NNCF fails.
    """
    nncf = libraries.nncf()
    transformer = settings.get("model_type") == "transformer"
    with _at_work("quantise"):
        return nncf.quantize(
            network,
            nncf.Dataset(_Fed(calibration)),
            preset=nncf.QuantizationPreset(str(settings.get("preset", "mixed"))),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            subset_size=len(calibration),
            fast_bias_correction=bool(settings.get("fast_bias_correction", True)),
            ignored_scope=_ignored(nncf, keep_float),
        )


def compress(network: Any, keep_float: Sequence[str]) -> Any:
    """Weights of matrix products as INT8 without calibration; activations are quantised as they come, by the plugin."""
    nncf = libraries.nncf()
    with _at_work("compress"):
        return nncf.compress_weights(
            network, mode=nncf.CompressWeightsMode.INT8_ASYM, ignored_scope=_ignored(nncf, keep_float)
        )


@contextlib.contextmanager
def _at_work(verb: str) -> Iterator[None]:
    """NNCF's progress bars kept off our standard output, its failures as ToolError."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except EdgewrightError:
        raise
    except Exception as error:  # NNCF raises RuntimeError kinds of many modules
        reason = " ".join(str(error).split())[:300]
        raise ToolError(f"NNCF could not {verb} this model: {reason}", "Use a float precision for it.") from error


def counts(network: Any) -> dict[str, int]:
    """How many weighted operators there are, and how many of them have INT8 weights."""
    nodes = [node for node in network.get_ordered_ops() if node.get_type_name() in WEIGHTED]
    return {"weighted": len(nodes), "int8": sum(_has_int8_weight(node) for node in nodes)}


def _has_int8_weight(node: Any) -> bool:
    """Whether an 8-bit constant lies within the few operators that dequantise a weight."""
    pending, seen = [node.input_value(i).get_node() for i in range(1, node.get_input_size())], 0
    while pending and seen < 12:
        here = pending.pop()
        seen += 1
        if here.get_type_name() == "Constant" and here.get_element_type().get_type_name() in ("i8", "u8"):
            return True
        if here.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize"):
            pending += [here.input_value(i).get_node() for i in range(min(1, here.get_input_size()) or 0)]
    return False


def _ignored(nncf: Any, names: Sequence[str]) -> Any:
    """An ONNX node's name as NNCF's scope: the front end may have split it (`…/WithoutBiases`)."""
    patterns = [f"^{re.escape(name)}(/WithoutBiases)?$" for name in names]
    return nncf.IgnoredScope(patterns=patterns, validate=False) if patterns else None


class _Fed:
    """An iterable with a length, which NNCF asks of its data."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration

    def __len__(self) -> int:
        return len(self._calibration)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._calibration)
