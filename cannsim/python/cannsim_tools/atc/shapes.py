"""--input_shape and the three kinds of gears, checked in the vendor's order with the vendor's codes."""

from __future__ import annotations

from dataclasses import dataclass

from ..chips import CHIPS
from ..vendor_error import VendorError
from .flags import Options

SAMPLE = '"input_name1:n1,c1,h1,w1"'
FEWEST, MOST = 2, 100


@dataclass(frozen=True)
class Gears:
    kind: str  # batch, image, dims
    keys: tuple[tuple[int, ...], ...]


def parse_input_shape(text: str) -> dict[str, list[int]]:
    """Shapes by input name, -1 where a gear decides; {} for an empty option. Names may hold colons."""
    shapes: dict[str, list[int]] = {}
    for part in filter(None, text.split(";")):
        name, colon, dims = part.rpartition(":")
        if not colon or not name:
            reason = f"The shape [{part}] is not of the form name:dims."
            raise VendorError("E10002", text, reason, SAMPLE)
        shapes[name] = [_dim(dim.strip(), text) for dim in dims.split(",")] if dims else []
    return shapes


def _dim(dim: str, text: str) -> int:
    if "~" in dim:
        raise VendorError("E10055", f"the shape range [{dim}] in --input_shape is not supported on this chip")
    try:
        value = int(dim)
    except ValueError:
        raise VendorError("E10002", text, f"The dimension [{dim}] is no integer.", SAMPLE) from None
    if value == 0 or value < -1:
        raise VendorError("E10011", text, dim)
    return value


def parse_gears(options: Options) -> Gears | None:
    """The gears asked for, or None; everything that does not need the model is checked."""
    names = ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims")
    asked = [name for name in names if options[name]]
    ranged = bool(options["input_shape_range"]) or "~" in options["input_shape"]
    if len(asked) + (1 if ranged else 0) > 1:
        raise VendorError("E10009")
    shapes = parse_input_shape(options["input_shape"]) if not ranged else {}
    if ranged or (not asked and any(-1 in dims for dims in shapes.values())):
        _refuse_range(options)
    if not asked:
        return None
    if not options["input_shape"]:
        raise VendorError("E10004", "input_shape")
    kind = asked[0].removeprefix("dynamic_").removesuffix("_size")
    keys = _keys(options[asked[0]], kind)
    check = {"batch": _check_batch, "image": _check_image, "dims": _check_dims}[kind]
    check(shapes, keys, options)
    return Gears(kind, tuple(keys))


def _refuse_range(options: Options) -> None:
    chip = CHIPS.get(options["soc_version"])
    what = "dynamic shape (a range or a bare -1)"
    if chip is not None and not chip.shape_range:
        raise VendorError("E10055", f"{what} is not supported by {chip.soc}")
    raise VendorError("E10055", f"{what} is not offered by the stand-in; use gears")


def _keys(text: str, kind: str) -> list[tuple[int, ...]]:
    parts = text.split(",") if kind == "batch" else [part for part in text.split(";") if part]
    keys = []
    for part in parts:
        try:
            keys.append(tuple(int(value) for value in part.split(",")))
        except ValueError:
            flag = f"--dynamic_{kind}" + ("" if kind == "dims" else "_size")
            raise VendorError("E10001", text, flag, f"[{part}] is no integer.") from None
    if len(keys) < FEWEST:
        raise VendorError("E10035", len(keys), FEWEST)
    if len(keys) > MOST:
        raise VendorError("E10036", len(keys), MOST)
    for key in keys:
        if kind == "image" and len(key) != 2:
            raise VendorError("E10020", text)
        if len(key) != len(keys[0]):
            raise VendorError("E10037", len(keys[0]), len(key))
        if min(key) <= 0:
            raise VendorError("E10038", min(key))
    if len(set(keys)) != len(keys):
        raise VendorError("E10039")
    return keys


def _check_batch(shapes: dict[str, list[int]], keys: list[tuple[int, ...]], options: Options) -> None:
    for name, dims in shapes.items():
        if not dims:
            raise VendorError("E10012")
        if -1 in dims[1:]:
            raise VendorError("E10018", name, options["input_shape"])
    if not any(dims[0] == -1 for dims in shapes.values()):
        raise VendorError("E10031")


def _check_image(shapes: dict[str, list[int]], keys: list[tuple[int, ...]], options: Options) -> None:
    layout = options["input_format"] or "NCHW"
    if layout not in ("NCHW", "NHWC"):
        reason = "dynamic_image_size needs the input format NCHW or NHWC."
        raise VendorError("E10001", layout, "--input_format", reason)
    axes = (2, 3) if layout == "NCHW" else (1, 2)
    changing = [dims for dims in shapes.values() if -1 in dims]
    if not changing:
        raise VendorError("E10040")
    for dims in changing:
        if len(dims) != 4 or [axis for axis, dim in enumerate(dims) if dim == -1] != list(axes):
            raise VendorError("E10019")


def _check_dims(shapes: dict[str, list[int]], keys: list[tuple[int, ...]], options: Options) -> None:
    if options["input_format"] != "ND":
        value = options["input_format"] or "NCHW"
        raise VendorError("E10001", value, "--input_format", "dynamic_dims needs the input format ND.")
    if options["insert_op_conf"]:
        reason = "The dynamic dims function does not support AIPP."
        raise VendorError("E10001", options["insert_op_conf"], "--insert_op_conf", reason)
    free = sum(dims.count(-1) for dims in shapes.values())
    if free == 0:
        raise VendorError("E10040")
    if free > len(keys[0]):
        raise VendorError("E10046")
    if free < len(keys[0]):
        raise VendorError("E10045")


def shapes_of_gear(shapes: dict[str, list[int]], gears: Gears, key: tuple[int, ...]) -> dict[str, list[int]]:
    """Every input's dims at one gear. Batch and image gears fill each input alike; dims gears in order over inputs."""
    filled = {}
    rest = list(key)
    for name, dims in shapes.items():
        values = list(dims)
        source = rest if gears.kind == "dims" else list(key)
        for axis, dim in enumerate(dims):
            if dim == -1:
                values[axis] = source.pop(0)
        filled[name] = values
    return filled
