"""--insert_op_conf: the AIPP configuration, checked by the rules of the fact sheet, as a line of the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chips import Chip
from ..prototxt import Block, ProtoTextError, parse
from ..vendor_error import VendorError

FORMATS = {"YUV420SP_U8": 1, "XRGB8888_U8": 2, "RGB888_U8": 3, "YUV400_U8": 4}
CHANNELS = {"YUV420SP_U8": 3, "XRGB8888_U8": 4, "RGB888_U8": 3, "YUV400_U8": 1}
BOOLS = {"crop", "padding", "csc_switch", "rbuv_swap_switch", "ax_swap_switch", "resize", "single_line_mode"}
BOOLS |= {"support_rotation", "raw_rgbir_to_f16_n", "csc_enable"}
SIZES = {"src_image_size_w", "src_image_size_h", "load_start_pos_w", "load_start_pos_h", "crop_size_w", "crop_size_h"}
SIZES |= {"resize_output_w", "resize_output_h", "related_input_rank", "max_src_image_size"}
SIZES |= {f"{side}_padding_size" for side in ("left", "right", "top", "bottom")}
NUMBERS = {f"matrix_r{r}c{c}" for r in range(3) for c in range(3)}
NUMBERS |= {f"{way}_bias_{i}" for way in ("input", "output") for i in range(3)}
NUMBERS |= {f"{kind}_chn_{i}" for kind in ("mean", "min", "var_reci") for i in range(4)}
NUMBERS |= {"padding_value", "cpadding_value"}
WORDS = {"aipp_mode", "input_format", "related_input_name", "crop_mode"}


@dataclass(frozen=True)
class Aipp:
    rank: int
    dynamic: bool
    fields: dict[str, Any]

    def get(self, name: str, otherwise: Any = 0) -> Any:
        return self.fields.get(name, otherwise)


def bad(reason: str) -> VendorError:
    return VendorError("E10052", reason)


def read_aipp(path: str) -> list[Aipp]:
    """One entry an `aipp_op` block; [] when the option is empty."""
    if not path:
        return []
    try:
        content = parse(Path(path).read_text(errors="replace"))
    except ProtoTextError:
        raise VendorError("E19018", path) from None
    if set(content) - {"aipp_op"} or not content.get("aipp_op"):
        raise VendorError("E19018", path)
    settings = [_read_block(block, path) for block in content["aipp_op"]]
    ranks = [one.rank for one in settings]
    if len(set(ranks)) != len(ranks):
        raise bad("related_input_rank is the same in two aipp_op blocks.")
    return settings


def _read_block(block: Any, path: str) -> Aipp:
    if not isinstance(block, dict):
        raise VendorError("E19018", path)
    fields = {name: _value(name, block, path) for name in block}
    mode = fields.get("aipp_mode")
    if mode not in ("static", "dynamic"):
        raise bad("aipp_mode must be static or dynamic.")
    if mode == "dynamic":
        if fields.get("max_src_image_size", 0) <= 0:
            raise bad("max_src_image_size must be configured for dynamic AIPP.")
    elif fields.get("input_format") not in FORMATS:
        raise bad(f"input_format must be one of {', '.join(FORMATS)} for static AIPP.")
    if fields.get("resize"):
        raise bad("resize is not supported.")
    if fields.get("single_line_mode") or fields.get("raw_rgbir_to_f16_n"):
        raise bad("single_line_mode and raw_rgbir_to_f16_n are not supported.")
    return Aipp(fields.get("related_input_rank", 0), mode == "dynamic", fields)


def _value(name: str, block: Block, path: str) -> Any:
    value = block[name][-1]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in BOOLS and isinstance(value, bool):
        return value
    if name in SIZES and isinstance(value, int) and number:
        if value < 0:
            raise bad(f"{name} must not be negative.")
        return value
    if name in NUMBERS and number:
        _check_number(name, value)
        return value
    if name in WORDS:
        return str(value)
    raise VendorError("E19018", path)  # an unknown field, or a value of another type, does not parse


def _check_number(name: str, value: float) -> None:
    if name.startswith("matrix") and not (isinstance(value, int) and -32677 <= value <= 32676):
        raise bad(f"{name} must be an integer from -32677 to 32676.")
    if ("bias" in name or name.startswith("mean")) and not (isinstance(value, int) and 0 <= value <= 255):
        raise bad(f"{name} must be an integer from 0 to 255.")
    if name.startswith(("min", "var", "padding")) and abs(value) > 65504:
        raise bad(f"{name} is not a float16 number.")


def check_against(aipp: Aipp, dims: list[int], chip: Chip, image_gears: bool) -> None:
    """Whether the configuration gives what a network input of dims N,C,H,W wants (-1: a gear's)."""
    if len(dims) != 4:
        raise bad("the input AIPP belongs to must have four dimensions.")
    if aipp.dynamic:
        return
    height, width = dims[2], dims[3]
    crop, padding = aipp.get("crop", False), aipp.get("padding", False)
    src_w, src_h = aipp.get("src_image_size_w"), aipp.get("src_image_size_h")
    if image_gears:
        if crop or padding or src_w or src_h:
            raise bad("with dynamic_image_size neither crop nor padding nor src_image_size may be configured.")
        return
    if (crop or padding) and not (src_w and src_h):
        raise bad("src_image_size_w and src_image_size_h must be configured when crop or padding is on.")
    src_w, src_h = src_w or width, src_h or height
    _check_sizes(aipp, src_w, src_h)
    out_w = aipp.get("crop_size_w") or width if crop else src_w
    out_h = aipp.get("crop_size_h") or height if crop else src_h
    if crop and (aipp.get("load_start_pos_w") + out_w > src_w or aipp.get("load_start_pos_h") + out_h > src_h):
        raise bad("src_image_size must not be less than crop_size + load_start_pos.")
    if padding:
        out_w += aipp.get("left_padding_size") + aipp.get("right_padding_size")
        out_h += aipp.get("top_padding_size") + aipp.get("bottom_padding_size")
    if (out_w, out_h) != (width, height):
        raise bad(f"the picture is {out_w}x{out_h} after crop and padding, the model wants {width}x{height}.")
    if width > chip.widest_aipp:
        raise bad(f"the output width {width} is more than {chip.widest_aipp}, the widest of {chip.soc}.")
    if dims[1] > CHANNELS[aipp.get("input_format")]:
        raise bad(f"{aipp.get('input_format')} cannot give {dims[1]} channels.")


def _check_sizes(aipp: Aipp, src_w: int, src_h: int) -> None:
    if not 2 <= src_w <= 4096 or not 1 <= src_h <= 4096:
        raise bad("src_image_size_w must be from 2 to 4096 and src_image_size_h from 1 to 4096.")
    if aipp.get("input_format") == "YUV420SP_U8":
        if src_w % 2 or src_h % 2:
            raise bad("src_image_size_w and src_image_size_h must be even for YUV420SP_U8.")
        if aipp.get("crop", False) and (aipp.get("load_start_pos_w") % 2 or aipp.get("load_start_pos_h") % 2):
            raise bad("load_start_pos_w and load_start_pos_h must be even for YUV420SP_U8.")
    for side in ("left", "right", "top", "bottom"):
        if aipp.get("padding", False) and aipp.get(f"{side}_padding_size") > 32:
            raise bad(f"{side}_padding_size must be from 0 to 32.")


def manifest_words(aipp: Aipp, dims: list[int]) -> list[str]:
    """The words runtime/aipp.cpp reads back."""
    words = [str(aipp.rank), f"mode={'dynamic' if aipp.dynamic else 'static'}"]
    if aipp.dynamic:
        return [*words, f"max={aipp.get('max_src_image_size')}"]
    words.append(f"format={FORMATS[aipp.get('input_format')]}")
    words.append(f"src={aipp.get('src_image_size_w')},{aipp.get('src_image_size_h')}")
    if aipp.get("crop", False):
        size = aipp.get("crop_size_w") or dims[3], aipp.get("crop_size_h") or dims[2]
        words.append(f"crop={aipp.get('load_start_pos_w')},{aipp.get('load_start_pos_h')},{size[0]},{size[1]}")
    if aipp.get("padding", False):
        sides = ",".join(str(aipp.get(f"{side}_padding_size")) for side in ("left", "right", "top", "bottom"))
        words += [f"pad={sides}", f"pad_value={aipp.get('padding_value')}"]
    for name, key in (("csc_switch", "csc"), ("rbuv_swap_switch", "rbuv"), ("ax_swap_switch", "ax")):
        if aipp.get(name, False):
            words.append(f"{key}=1")
    # The defaults of the vendor's template: the matrix of BT.601 video to BGR, which only counts when csc_switch is on.
    matrix = (298, 516, 0, 298, -100, -208, 298, 0, 409)
    cells = [f"matrix_r{r}c{c}" for r in range(3) for c in range(3)]
    words.append("matrix=" + ",".join(str(aipp.get(cell, matrix[at])) for at, cell in enumerate(cells)))
    words.append("in_bias=" + ",".join(str(aipp.get(f"input_bias_{i}", (16, 128, 128)[i])) for i in range(3)))
    words.append("out_bias=" + ",".join(str(aipp.get(f"output_bias_{i}", (16, 128, 128)[i])) for i in range(3)))
    words.append("mean=" + ",".join(str(aipp.get(f"mean_chn_{i}")) for i in range(4)))
    words.append("min=" + ",".join(repr(float(aipp.get(f"min_chn_{i}", 0.0))) for i in range(4)))
    words.append("var=" + ",".join(repr(float(aipp.get(f"var_reci_chn_{i}", 1.0))) for i in range(4)))
    return words
