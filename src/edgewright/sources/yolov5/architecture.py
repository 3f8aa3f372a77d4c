"""A YOLOv5 `yaml` entry read into a plan of layers: channels, strides and names settled, no framework needed.

The torch module and the ONNX graph are both written from this one plan, so they cannot disagree about the
architecture. The rules (width rounded up to a multiple of 8, depth rounded to the nearest repeat, `from` indices)
are those that the YOLOv5 model files v5.0–v7.0 are written against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.core.errors import InputError

MAX_LAYERS = 512
MAX_CHANNELS = 16384
MAX_REPEATS = 256
MAX_CLASSES = 10000
KINDS = ("Conv", "Focus", "Bottleneck", "BottleneckCSP", "C3", "SPP", "SPPF", "Concat", "Upsample", "Detect")
_WITH_CHANNELS = frozenset({"Conv", "Focus", "Bottleneck", "BottleneckCSP", "C3", "SPP", "SPPF"})
_WITH_INNER_REPEATS = frozenset({"BottleneckCSP", "C3"})
_REMEDY = "Export the model to ONNX with the code it was trained with, and use that file as the source."


@dataclass(frozen=True)
class Activation:
    """The non-linearity after a convolution: `silu`, `hardswish`, `relu`, `identity` or `leaky_relu` (with slope)."""

    kind: str = "silu"
    slope: float = 0.1


@dataclass(frozen=True)
class Layer:
    """One line of the yaml. `inputs` are absolute layer indices, -1 is the image.

    `kernel`, `stride`, `padding`, `groups` serve Conv and Focus; `kernels` SPP and SPPF; `shortcut`, `expansion`,
    `groups` and `repeats` the bottleneck kinds (`repeats` counts the bottlenecks inside C3 and BottleneckCSP, and
    copies in a row for the others); `scale` is Upsample's. `reduction` is input pixels per output cell.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    in_channels: tuple[int, ...]
    out_channels: int
    reduction: float
    repeats: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    shortcut: bool = True
    expansion: float = 0.5
    kernels: tuple[int, ...] = ()
    scale: int = 1


@dataclass(frozen=True)
class Architecture:
    """A whole YOLOv5 network; the last layer is Detect.

    `anchors` are in pixels, one tuple of (width, height) pairs per level; `strides` in pixels, one per level.
    `csp_activation` is the one inside BottleneckCSP (LeakyReLU before v6.0, SiLU after).
    """

    layers: tuple[Layer, ...]
    channels: int
    classes: int
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    strides: tuple[int, ...]
    activation: Activation = Activation()
    csp_activation: Activation = Activation()

    @property
    def detect(self) -> Layer:
        return self.layers[-1]

    @property
    def outputs_per_anchor(self) -> int:
        return self.classes + 5


def read_architecture(
    yaml: Mapping[str, Any],
    *,
    channels: int = 3,
    activation: Activation | None = None,
    csp_activation: Activation | None = None,
) -> Architecture:
    """The plan of a YOLOv5 `yaml` mapping (keys nc, depth_multiple, width_multiple, anchors, backbone, head).

    `channels` is the image's, used where the yaml has no `ch`. Raises InputError for a layer or a value that
    this reader does not know.
    """
    classes = _whole(yaml.get("nc"), "nc", MAX_CLASSES)
    anchors = _anchors(yaml.get("anchors"))
    per_level = anchors if isinstance(anchors, int) else len(anchors[0])
    stated = parse_activation(yaml["activation"]) if isinstance(yaml.get("activation"), str) else None
    image_channels = _whole(yaml.get("ch", channels), "ch", 64)
    layers = _layers(yaml, image_channels, (classes + 5) * per_level, classes)
    detect = layers[-1]
    strides = tuple(int(layers[source].reduction) for source in detect.inputs)
    return Architecture(
        layers=layers,
        channels=image_channels,
        classes=classes,
        anchors=_ordered(anchors, strides),
        strides=strides,
        activation=activation or stated or Activation(),
        csp_activation=csp_activation or activation or stated or Activation(),
    )


def parse_activation(text: str) -> Activation:
    """`nn.SiLU()`, `LeakyReLU(0.1)` and the like as data; the text is matched, never evaluated."""
    match = re.fullmatch(
        r"(?:torch\.)?(?:nn\.)?(\w+)\s*(?:\(\s*(?:negative_slope=)?([\d.eE-]*)[^()]*\))?", text.strip()
    )
    kinds = {
        "silu": "silu",
        "hardswish": "hardswish",
        "relu": "relu",
        "leakyrelu": "leaky_relu",
        "identity": "identity",
    }
    kind = kinds.get(match.group(1).lower()) if match else None
    if match is None or kind is None:
        raise InputError(f"The activation {text[:60]!r} is not one that YOLOv5 v5–v7 uses.", _REMEDY)
    try:
        return Activation(kind, float(match.group(2))) if kind == "leaky_relu" and match.group(2) else Activation(kind)
    except ValueError as error:
        raise InputError(f"The activation {text[:60]!r} cannot be read.", _REMEDY) from error


def _layers(yaml: Mapping[str, Any], image_channels: int, no: int, classes: int) -> tuple[Layer, ...]:
    lines = [*_lines(yaml, "backbone"), *_lines(yaml, "head")]
    if not 2 <= len(lines) <= MAX_LAYERS:
        raise InputError(f"The yaml of this model lists {len(lines)} layers; 2 to {MAX_LAYERS} can be read.", _REMEDY)
    depth = _number(yaml.get("depth_multiple", 1.0), "depth_multiple")
    width = _number(yaml.get("width_multiple", 1.0), "width_multiple")
    layers: list[Layer] = []
    for index, line in enumerate(lines):
        layer = _layer(index, line, layers, image_channels, depth, width, no)
        if (layer.kind == "Detect") != (index == len(lines) - 1):
            raise InputError("A YOLOv5 model has exactly one Detect layer, the last one; this yaml has not.", _REMEDY)
        layers.append(layer)
    return tuple(layers)


def _layer(
    index: int, line: Any, before: Sequence[Layer], image_channels: int, depth: float, width: float, no: int
) -> Layer:
    if not isinstance(line, Sequence) or isinstance(line, str) or len(line) != 4:
        raise InputError(f"Layer {index} of the yaml is not [from, number, module, arguments].", _REMEDY)
    sources, number, module, arguments = line
    kind = str(module).removeprefix("nn.")
    if kind not in KINDS:
        raise InputError(
            f"Layer {index} is a {str(module)[:60]!r}, which is not a YOLOv5 v5–v7 layer known here.", _REMEDY
        )
    inputs = _inputs(index, sources)
    entering = tuple(before[i].out_channels if i >= 0 else image_channels for i in inputs)
    reduction = max((before[i].reduction if i >= 0 else 1.0) for i in inputs)
    repeats = _whole(number, f"number of layer {index}", MAX_REPEATS)
    repeats = max(round(repeats * depth), 1) if repeats > 1 else repeats
    values = [None if value == "None" else value for value in (arguments if isinstance(arguments, Sequence) else ())]
    if kind in _WITH_CHANNELS:
        return _convolutional(index, kind, inputs, entering, reduction, repeats, values, width, no)
    if kind == "Concat":
        if values and values[0] != 1:
            raise InputError(
                f"Layer {index} concatenates over axis {values[0]!r}; only channels are known here.", _REMEDY
            )
        return Layer(index, kind, inputs, entering, sum(entering), reduction)
    if kind == "Upsample":
        scale = _whole(values[1] if len(values) > 1 else None, f"scale of layer {index}", 16)
        if len(values) > 2 and values[2] != "nearest":
            raise InputError(f"Layer {index} upsamples by {values[2]!r}; only 'nearest' is known here.", _REMEDY)
        return Layer(index, kind, inputs, entering, entering[0], reduction / scale, scale=scale)
    return Layer(index, kind, inputs, entering, no, reduction)


def _convolutional(
    index: int,
    kind: str,
    inputs: tuple[int, ...],
    entering: tuple[int, ...],
    reduction: float,
    repeats: int,
    values: list[Any],
    width: float,
    no: int,
) -> Layer:
    """Conv, Focus and the blocks made of them: the first argument is the number of output channels."""
    out = _whole(values[0] if values else None, f"channels of layer {index}", MAX_CHANNELS)
    out = out if out == no else _whole(math.ceil(out * width / 8) * 8, f"channels of layer {index}", MAX_CHANNELS)
    rest = values[1:]
    if len(inputs) != 1:
        raise InputError(f"Layer {index} ({kind}) has {len(inputs)} inputs; it takes one.", _REMEDY)
    if repeats > 1 and kind not in _WITH_INNER_REPEATS and entering[0] != out:
        raise InputError(f"Layer {index} ({kind}) is repeated but changes the number of channels.", _REMEDY)
    common = (index, kind, inputs, entering, out)
    if kind in ("Conv", "Focus"):
        kernel = _whole(_at(rest, 0, 1), f"kernel of layer {index}", 64)
        stride = _whole(_at(rest, 1, 1), f"stride of layer {index}", 16)
        given = _at(rest, 2, None)
        padding = kernel // 2 if given is None else _whole(given, f"padding of layer {index}", 64, least=0)
        groups = _whole(_at(rest, 3, 1), f"groups of layer {index}", MAX_CHANNELS)
        shrink = (stride * (2 if kind == "Focus" else 1)) ** repeats
        return Layer(*common, reduction * shrink, repeats, kernel=kernel, stride=stride, padding=padding, groups=groups)
    if kind == "SPP":
        kernels = _at(rest, 0, (5, 9, 13))
        sizes = tuple(_whole(k, f"kernels of layer {index}", 64) for k in kernels) if _listed(kernels) else ()
        if not 1 <= len(sizes) <= 16:
            raise InputError(
                f"The kernels of layer {index} (SPP) are {kernels!r}; a list of 1 to 16 is expected.", _REMEDY
            )
        return Layer(*common, reduction, repeats, kernels=sizes)
    if kind == "SPPF":
        return Layer(*common, reduction, repeats, kernels=(_whole(_at(rest, 0, 5), f"kernel of layer {index}", 64),))
    # Bottleneck(c2, shortcut, groups, expansion); C3 and BottleneckCSP the same, with the repeats inside
    return Layer(
        *common,
        reduction,
        repeats,
        shortcut=bool(_at(rest, 0, True)),
        groups=_whole(_at(rest, 1, 1), f"groups of layer {index}", MAX_CHANNELS),
        expansion=_number(_at(rest, 2, 0.5), f"expansion of layer {index}"),
    )


def _inputs(index: int, sources: Any) -> tuple[int, ...]:
    listed = sources if _listed(sources) else (sources,)
    inputs = []
    for source in listed:
        if not isinstance(source, int) or isinstance(source, bool):
            raise InputError(f"Layer {index} takes its input from {source!r}, which is not a layer number.", _REMEDY)
        absolute = index + source if source < 0 else source
        if not -1 <= absolute < index or (absolute == -1 and index > 0):
            raise InputError(f"Layer {index} takes its input from layer {source}, which is not before it.", _REMEDY)
        inputs.append(absolute)
    if not 1 <= len(inputs) <= 64:
        raise InputError(f"Layer {index} has {len(inputs)} inputs; 1 to 64 can be read.", _REMEDY)
    return tuple(inputs)


def _anchors(value: Any) -> int | tuple[tuple[tuple[float, float], ...], ...]:
    """Anchors in pixels by level, or their number where the yaml leaves their values to the training."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _whole(value, "anchors", 64)
    levels = []
    for level in value if _listed(value) else ():
        flat = [number for item in level for number in (item if _listed(item) else (item,))] if _listed(level) else []
        numbers = [_number(number, "anchors") for number in flat]
        if len(numbers) < 2 or len(numbers) % 2 or len(numbers) > 128:
            break
        levels.append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if not levels or len({len(level) for level in levels}) != 1 or len(levels) != len(value) or len(levels) > 16:
        raise InputError("The anchors in the yaml are not lists of width, height pairs of one length.", _REMEDY)
    return tuple(levels)


def _ordered(
    anchors: int | tuple[tuple[tuple[float, float], ...], ...], strides: tuple[int, ...]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Anchors in the order of the strides (YOLOv5 reverses them when areas and strides run opposite ways)."""
    if isinstance(anchors, int):  # placeholders until the checkpoint's own anchors replace them
        return tuple(tuple((4.0 * stride, 4.0 * stride) for _ in range(anchors)) for stride in strides)
    if len(anchors) != len(strides):
        raise InputError(f"The yaml has anchors for {len(anchors)} levels, Detect has {len(strides)} inputs.", _REMEDY)
    areas = [sum(width * height for width, height in level) / len(level) for level in anchors]
    reverse = (areas[-1] - areas[0]) * (strides[-1] - strides[0]) < 0
    return anchors[::-1] if reverse else anchors


def _lines(yaml: Mapping[str, Any], key: str) -> Sequence[Any]:
    lines = yaml.get(key)
    if not isinstance(lines, (list, tuple)) or len(lines) > MAX_LAYERS:
        raise InputError(f"The yaml of this model has no list of layers under {key!r}.", _REMEDY)
    return list(lines)


def _listed(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _at(values: Sequence[Any], index: int, default: Any) -> Any:
    return values[index] if index < len(values) else default


def _whole(value: Any, what: str, most: int, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or not least <= value <= most:
        shown = f"The value of {what} is {str(value)[:40]!r}"
        raise InputError(f"{shown}; a number from {least} to {most} is expected.", _REMEDY)
    if value != int(value):
        raise InputError(f"The value of {what} is {value}; a whole number is expected.", _REMEDY)
    return int(value)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise InputError(f"The value of {what} is {str(value)[:40]!r}; a positive number is expected.", _REMEDY)
    return float(value)
