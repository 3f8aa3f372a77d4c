"""Image files from what a user names: a folder, a list, one image. And a fair choice among many."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.tasks.class_names import read_text

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def image_files(path: Path) -> list[Path]:
    """The images in a folder (and below it), in a .txt list, or the one image named; sorted by path
    for a folder, in the list's order for a list. InputError where there are none."""
    if path.is_dir():
        found = [Path(root, name) for root, _, names in os.walk(path) for name in names if is_image(name)]
        found = sorted(p for p in found if not p.name.startswith("."))
    elif path.suffix.lower() == ".txt":
        found = listed_files(path)
    elif path.is_file() and is_image(path.name):
        found = [path]
    elif path.exists():
        raise InputError(
            f"{path} is no form of image data that is known.",
            "Give a folder, a .txt list, an Ultralytics data.yaml, a COCO .json or a .csv.",
        )
    else:
        raise InputError(f"There is no data at {path}.", "Check the path; it is relative to the configuration file.")
    if not found:
        raise InputError(f"{path} holds no images.", f"Images end in {', '.join(SUFFIXES)}.")
    return list(dict.fromkeys(found))


def is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def listed_files(path: Path) -> list[Path]:
    """The files of a list, one a line, relative to the list's own folder. InputError for one that is missing."""
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            file = path.parent / line.strip()
            if not file.is_file():
                raise InputError(f"{path}:{number}: there is no file {file}.", "Mend the list.")
            found.append(file)
    return found


def names_of(paths: Sequence[Path]) -> list[str]:
    """An id per path: what follows the folder they share."""
    shared = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(shared).as_posix() for path in paths]


def representative(count: int | None, seed: int, classes: Sequence[Collection[int]]) -> list[int]:
    """`count` indices, rising: a random draw that holds every class which the whole holds, if it has the
    room (the rarest first). `classes` gives the classes of each item, empty where they are not known."""
    total = len(classes)
    if count is None or count >= total:
        return list(range(total))
    order = np.random.default_rng(seed).permutation(total).tolist()
    holders: dict[int, list[int]] = {}
    for index in order:
        for kind in set(classes[index]):
            holders.setdefault(kind, []).append(index)
    chosen: dict[int, None] = {}
    covered: set[int] = set()
    for kind in sorted(holders, key=lambda k: (len(holders[k]), k)):
        if kind not in covered and len(chosen) < count:
            chosen[holders[kind][0]] = None
            covered.update(classes[holders[kind][0]])
    for index in order:
        if len(chosen) >= count:
            break
        chosen[index] = None
    return sorted(chosen)
