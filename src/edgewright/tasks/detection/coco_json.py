"""COCO annotations (cocodataset.org/#format-data): images, categories, boxes as x, y, width, height."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError

MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class CocoImage:
    """`rows`: [class, x1, y1, x2, y2] in pixels, with a 1 behind it where the object is a crowd."""

    path: Path
    width: int
    height: int
    rows: tuple[tuple[float, ...], ...]


def read_coco(path: Path, labels: Sequence[str], folder: Path | None) -> list[CocoImage]:
    """The images of an annotation file, in its order. `folder` holds the images; without it they are
    looked for beside the file. InputError names what is wrong and where."""
    data = _load(path)
    kinds = _classes(data["categories"], labels, path)
    rows: dict[Any, list[tuple[float, ...]]] = {}
    for number, entry in enumerate(data["annotations"]):
        try:
            image, kind = entry["image_id"], kinds[entry["category_id"]]
            x, y, width, height = (float(v) for v in entry["bbox"])
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{path}: annotations[{number}] lacks a known category, an image or a box.", "Mend that annotation."
            ) from None
        if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
            raise InputError(f"{path}: annotations[{number}] has no valid box.", "A box is x, y, width, height.")
        crowd = (1.0,) if entry.get("iscrowd") else ()
        rows.setdefault(image, []).append((kind, x, y, x + width, y + height, *crowd))
    root = _image_root(path, data["images"], folder)
    try:
        return [
            CocoImage(
                _inside(root, str(image["file_name"]), path),
                int(image.get("width") or 0),
                int(image.get("height") or 0),
                tuple(rows.get(image["id"], ())),
            )
            for image in data["images"]
        ]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} has an image without id or file_name.", "Mend `images`.") from None


def _load(path: Path) -> Mapping[str, list[Any]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is over 1 GiB.", "Split the annotations.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as JSON: {reason}.", "Give a COCO annotation file.") from None
    parts = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in parts):
        raise InputError(f"{path} is no COCO annotation file.", f"It needs the lists {', '.join(parts)}.")
    return data


def _classes(categories: Sequence[Any], labels: Sequence[str], path: Path) -> dict[Any, int]:
    """Category id → class: by name where all names are the model's, else by rising id where the counts agree."""
    try:
        named = {entry["id"]: str(entry.get("name", "")) for entry in categories}
        order = sorted(named)
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{path} has a category without id.", "Mend `categories`.") from None
    index = {name: k for k, name in enumerate(labels)}
    if named and all(name in index for name in named.values()):
        return {key: index[name] for key, name in named.items()}
    if len(named) == len(labels):
        return {key: k for k, key in enumerate(order)}
    raise InputError(
        f"{path} has {len(named)} categories, but the model has {len(labels)} classes with other names.",
        "Use labels of the model's own classes, or give `task.labels` in their order.",
    )


def _image_root(path: Path, images: Sequence[Any], folder: Path | None) -> Path:
    """Where the images are: the usual places beside an annotation file, tried with the first image."""
    if folder is not None:
        return folder
    split = path.stem.removeprefix("instances_")
    beside, above = path.parent, path.parent.parent
    places = (beside, beside / "images", above / split, above / "images" / split, above / "images", above)
    first = str(images[0].get("file_name", "")) if images and isinstance(images[0], dict) else ""
    for place in places:
        if first and (place / first).is_file():
            return place
    raise InputError(
        f"The images of {path} are not beside it ({first or 'none'}).",
        "Name their folder as `path`, and the .json as `labels`.",
    )


def _inside(root: Path, name: str, path: Path) -> Path:
    """`root`/`name`, which must stay under `root`."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{path} names an image outside its folder: {name}.", "Use relative file names.")
    return root / name
