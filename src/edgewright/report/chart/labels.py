"""Where to write the names of points so that they can be read: no name on another, nor on a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TURNS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_RINGS = (10, 20, 34, 50, 70)


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float

    def overlaps(self, other: Box) -> bool:
        across = self.left < other.left + other.width and other.left < self.left + self.width
        return across and self.top < other.top + other.height and other.top < self.top + self.height

    def within(self, other: Box) -> bool:
        across = self.left >= other.left and self.left + self.width <= other.left + other.width
        return across and self.top >= other.top and self.top + self.height <= other.top + other.height

    def gap(self, x: float, y: float) -> float:
        """How far a point is from the box's nearest edge; 0 inside."""
        across = max(self.left - x, x - self.left - self.width, 0.0)
        down = max(self.top - y, y - self.top - self.height, 0.0)
        return math.hypot(across, down)


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    obstacles: Sequence[Box] = (),
    marker: float = 7,
) -> list[Box | None]:
    """A box for each point's name: right, left, above, below, then farther out, but always nearer to its own point
    than to any other. None where no such place is free (the chart then numbers that point). Order is priority."""
    taken = [*obstacles, *(Box(x - marker, y - marker, 2 * marker, 2 * marker) for x, y in points)]
    placed: list[Box | None] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        others = [point for point in points if point != (x, y)]
        spots = (box for box in _around(x, y, width, height) if _is_free(box, taken, bounds))
        spot = next((box for box in spots if all(box.gap(x, y) < box.gap(*other) for other in others)), None)
        placed.append(spot)
        if spot is not None:
            taken.append(spot)
    return placed


def _around(x: float, y: float, width: float, height: float) -> list[Box]:
    found = []
    for ring in _RINGS:
        for right, down in _TURNS:
            left = x + ring if right > 0 else x - ring - width if right < 0 else x - width / 2
            top = y + ring * 0.8 if down > 0 else y - ring * 0.8 - height if down < 0 else y - height / 2
            found.append(Box(left, top, width, height))
    return found


def _is_free(box: Box, taken: Sequence[Box], bounds: Box) -> bool:
    return box.within(bounds) and not any(box.overlaps(other) for other in taken)
