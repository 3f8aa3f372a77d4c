"""YOLO labels: one text file per image, one object a line: `class cx cy width height`, relative to the
image's size (0 to 1), or `class x1 y1 x2 y2 x3 y3 …`, a polygon whose bounding box is taken.

An image in `…/images/…/name.jpg` has its labels in `…/labels/…/name.txt`, or beside it. An image
without a file shows nothing, if others of its set have one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.tasks.class_names import read_text

SLACK = 0.01
"""How far outside 0 to 1 a coordinate may lie: rounding in the tools that write these files."""
REMEDY = "A row is `class cx cy width height`, relative to the image (0 to 1)."

Row = tuple[int, float, float, float, float]


def label_file(image: Path, folder: Path | None, root: Path) -> Path:
    """Where the labels of `image` are. `folder` is the one the user named, with `root`'s own shape in it or flat."""
    if folder is not None:
        inside = folder / image.relative_to(root).with_suffix(".txt") if image.is_relative_to(root) else folder
        return inside if inside.is_file() else folder / f"{image.stem}.txt"
    parts = list(image.parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        beside = Path(*parts[:last], "labels", *parts[last + 1 :]).with_suffix(".txt")
        if beside.is_file() or not image.with_suffix(".txt").is_file():
            return beside
    return image.with_suffix(".txt")


def read_rows(path: Path, classes: int) -> tuple[Row, ...]:
    """(class, x1, y1, x2, y2), relative, of each object. InputError with file and line for a bad row."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            rows.append(_row(line.split(), f"{path}:{number}", classes))
    return tuple(rows)


def _row(fields: Sequence[str], place: str, classes: int) -> Row:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        raise InputError(f"{place}: {' '.join(fields)[:60]!r} is not all numbers.", REMEDY) from None
    polygon = len(numbers) >= 7 and len(numbers) % 2 == 1
    if len(numbers) != 5 and not polygon:
        raise InputError(f"{place}: {len(numbers)} numbers where 5 are wanted.", REMEDY)
    kind = numbers[0]
    if not math.isfinite(kind) or kind != int(kind) or kind < 0:
        raise InputError(f"{place}: {fields[0]!r} is no class number.", REMEDY)
    if kind >= classes:
        raise InputError(
            f"{place}: class {int(kind)}, but the model has {classes} classes, 0 to {classes - 1}.",
            "Use labels of the model's own classes, or `labels: none` to compare without them.",
        )
    if not all(-SLACK <= n <= 1 + SLACK for n in numbers[1:]):
        raise InputError(f"{place}: a coordinate is not between 0 and 1.", REMEDY)
    if polygon:
        xs, ys = numbers[1::2], numbers[2::2]
        return int(kind), min(xs), min(ys), max(xs), max(ys)
    _, cx, cy, width, height = numbers
    return int(kind), cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def to_pixels(row: Row, width: int, height: int) -> list[float]:
    """[class, x1, y1, x2, y2] in pixels, cut off at the image's edges, to 1/1000 pixel."""
    kind, x1, y1, x2, y2 = row
    return [
        kind,
        *(round(min(max(n, 0.0), 1.0) * size, 3) for n, size in ((x1, width), (y1, height), (x2, width), (y2, height))),
    ]
