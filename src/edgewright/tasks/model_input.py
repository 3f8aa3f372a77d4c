"""What an image model's input says of itself: layout, size, channels."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Step


@dataclass(frozen=True)
class ImageInput:
    """`height` and `width` are pixels, `fallback` where the graph leaves them open."""

    layout: str
    height: int
    width: int
    channels: int
    dtype: str
    dynamic: bool

    @property
    def size(self) -> list[int]:
        return [self.height, self.width]


def image_input(model: Model, fallback: int) -> ImageInput:
    """The first input as an image. InputError where it is none."""
    if not model.inputs:
        raise InputError("The model has no input.", "Give a model with an image input.")
    spec = model.inputs[0]
    shape = spec.shape
    if len(shape) != 4 or not any(shape[axis] in (1, 3) for axis in (1, 3)):
        told = "×".join(str(n) for n in shape)
        raise InputError(
            f"The input {spec.name} ({told}) is no image: an image is 1×3×height×width or 1×height×width×3.",
            "Set `task: {kind: tensors}` for a model of other inputs.",
        )
    layout = "NCHW" if shape[1] in (1, 3) else "NHWC"
    channels, height, width = (shape[1], shape[2], shape[3]) if layout == "NCHW" else (shape[3], shape[1], shape[2])
    fixed = isinstance(height, int) and isinstance(width, int)
    return ImageInput(
        layout,
        height if isinstance(height, int) else fallback,
        width if isinstance(width, int) else fallback,
        int(channels or 3),
        spec.dtype,
        not fixed,
    )


def to_tensor(image: ImageInput, *, order: str, factor: float | None) -> tuple[Step, ...]:
    """The steps after resizing: colour order, scale (floats only) and layout."""
    steps = [] if image.channels == 3 and order == "rgb" else [Step("colour", {"order": order})]
    if image.channels == 1:
        steps = [Step("colour", {"order": "gray"})]
    if image.dtype.startswith("float"):
        steps.append(Step("scale", {"factor": factor}) if factor is not None else Step("cast", {"dtype": "float32"}))
    return (*steps, Step("layout", {"to": image.layout}))
