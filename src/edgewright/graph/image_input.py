"""An image's preparation as arithmetic: what something else can take over from the task, as gain·x + shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgewright.core.model import Step
from edgewright.graph.surgery import Array

SWALLOWED = ("colour", "scale", "normalise", "layout", "cast")


@dataclass(frozen=True)
class Affine:
    """y_c = gain_c · x_order(c) + shift_c on RGB pixels 0–255, then laid out as `layout`."""

    order: tuple[int, ...]
    gain: Array
    shift: Array
    layout: str


def divide(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps that stay, and the longest run at the end that a graph can take over."""
    cut = len(steps)
    while cut and steps[cut - 1].kind in SWALLOWED and steps[cut - 1].params.get("order") != "gray":
        cut -= 1
    return steps[:cut], steps[cut:]


def affine_of(steps: tuple[Step, ...], layout: str, channels: int | None) -> Affine | None:
    """The folded steps as one; None where the image does not have three channels throughout."""
    if channels != 3:
        return None
    order, gain, shift = (0, 1, 2), np.ones(3), np.zeros(3)
    for step in steps:
        if step.kind == "colour" and step.params["order"] == "bgr":
            order, gain, shift = order[::-1], gain[::-1], shift[::-1]
        elif step.kind == "scale":
            factor = float(step.params["factor"])
            gain, shift = gain * factor, shift * factor
        elif step.kind == "normalise":
            mean, std = np.asarray(step.params["mean"], float), np.asarray(step.params["std"], float)
            gain, shift = gain / std, (shift - mean) / std
    return Affine(order, gain, shift, layout)
