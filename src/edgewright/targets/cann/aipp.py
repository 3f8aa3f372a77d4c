"""AIPP: the picture's preparation as a configuration for the chip's own unit, and what is then left to the task.

Source of fields, order and formula: the CANN guide, "AIPP configuration" (GE docs/zh/user_guides/atc_tools/AIPP):
swap → crop → CSC → (pixel − mean − min) · var_reci → padding. `min_chn` and `var_reci_chn` are fp16 numbers, so the
network's scale and shift go there exactly to fp16; `mean_chn` would round to whole pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgewright.core.errors import ConfigError
from edgewright.core.model import Step
from edgewright.core.task import TaskSpec
from edgewright.graph.image_input import affine_of, divide

FORMATS = ("rgb", "yuv420sp")
FULL_RANGE = ((256, 0, 359), (256, -88, -183), (256, 454, 0))
"""YUV → RGB of JPEG (BT.601, full range), rows R, G, B, in 1/256; the input bias is 0, 128, 128."""


@dataclass(frozen=True)
class Aipp:
    """`config` is the text of the configuration; `spec` the task without what the unit does; the network's input
    becomes uint8 of `shape` (NHWC for RGB, n × 1.5·h × w × 1 for YUV420SP)."""

    config: str
    spec: TaskSpec
    shape: tuple[int | None, ...]
    reason: str


def take_over(spec: TaskSpec, shape: tuple[int | None, ...], source: str = "rgb") -> Aipp | None:
    """The configuration for an NCHW input of `shape` (fixed but for the batch), None where AIPP cannot prepare it.

    `source` is what the application hands over: "rgb" (RGB888_U8, as decoders give it) or "yuv420sp" (NV12 as camera
    and video units give it: half the bytes). ConfigError for another word, or sizes that YUV420SP cannot have.
    """
    if source not in FORMATS:
        raise ConfigError(f"AIPP cannot be fed with '{source}' here.", f"Known: {', '.join(FORMATS)}.")
    kept, folded = divide(spec.preprocess)
    layouts = [str(step.params.get("to", "NCHW")) for step in folded if step.kind == "layout"]
    if layouts != ["NCHW"] or len(shape) != 4 or not all(isinstance(n, int) for n in shape[1:]):
        return None
    batch, (channels, height, width) = shape[0], (int(n) for n in shape[1:] if n is not None)
    affine = affine_of(folded, "NCHW", channels)
    if affine is None:
        return None
    if source == "yuv420sp" and (height % 2 or width % 2):
        raise ConfigError(f"YUV420SP needs even sizes, the input is {width}×{height}.", "Use aipp: rgb.")
    gain, shift = np.asarray(affine.gain, np.float64), np.asarray(affine.shift, np.float64)
    lines = [
        "aipp_op {",
        "    aipp_mode: static",
        f"    input_format: {'YUV420SP_U8' if source == 'yuv420sp' else 'RGB888_U8'}",
        f"    src_image_size_w: {width}",
        f"    src_image_size_h: {height}",
        "    crop: false",
    ]
    bgr = affine.order == (2, 1, 0)
    lines += _colour(source, bgr)
    if np.any(gain != 1) or np.any(shift != 0):
        low, reciprocal = (0.0 - shift / gain).astype(np.float16), gain.astype(np.float16)
        lines += [f"    mean_chn_{c}: 0" for c in range(3)]
        lines += [f"    min_chn_{c}: {_number(low[c])}" for c in range(3)]
        lines += [f"    var_reci_chn_{c}: {_number(reciprocal[c])}" for c in range(3)]
    lines.append("}")
    step = Step("layout", {"to": "NHWC"}) if source == "rgb" else Step("nv12", {})
    rest = replace(spec, preprocess=(*kept, step))
    entering = (batch, height, width, 3) if source == "rgb" else (batch, height * 3 // 2, width, 1)
    reason = (
        f"AIPP does {len(folded)} steps of the preparation on the chip ({', '.join(s.kind for s in folded)}): "
        f"the program hands over {'RGB' if source == 'rgb' else 'NV12'} bytes as they are, "
        f"{'a quarter' if source == 'rgb' else 'an eighth'} of the float input's."
    )
    return Aipp("\n".join(lines) + "\n", rest, entering, reason)


def _colour(source: str, bgr: bool) -> list[str]:
    if source == "rgb":
        return ["    csc_switch: false", f"    rbuv_swap_switch: {'true' if bgr else 'false'}"]
    rows = FULL_RANGE[::-1] if bgr else FULL_RANGE
    matrix = [f"    matrix_r{r}c{c}: {value}" for r, row in enumerate(rows) for c, value in enumerate(row)]
    bias = [f"    input_bias_{i}: {value}" for i, value in enumerate((0, 128, 128))]
    return ["    csc_switch: true", "    rbuv_swap_switch: false", *matrix, *bias]


def _number(value: np.float16) -> str:
    """As many digits as tell this fp16 apart, never in exponent form: the vendor's parser was only seen with these."""
    return np.format_float_positional(value, unique=True, trim="0")
