"""An Ultralytics data.yaml: `path`, `train`/`val`/`test` (a folder, a .txt list, or several), `names`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.plugs import did_you_mean
from edgewright.tasks.class_names import read_yaml, yaml_names
from edgewright.tasks.image_files import image_files

SPLITS = ("train", "val", "test")


def images_of_split(path: Path, split: str | None, classes: int | None) -> tuple[list[Path], Path, str]:
    """(image files, the folder they are relative to, the split taken).

    Without `split`, val, else train, else test. InputError where the split is not there, or the names
    are not as many as the model's `classes` (None: not compared).
    """
    data = read_yaml(path)
    names = yaml_names(data, path)
    if names and classes is not None and len(names) != classes:
        raise InputError(
            f"{path} names {len(names)} classes, but the model has {classes}.",
            "Use data of the model's own classes, or `labels: none` on the images' folder to compare without labels.",
        )
    there = tuple(name for name in SPLITS if data.get(name))
    if not there:
        raise InputError(f"{path} names neither train, val nor test.", "Add `val: images/val`, say.")
    chosen = split or next(name for name in ("val", "train", "test") if name in there)
    if chosen not in there:
        raise InputError(f"{path} has no split '{chosen}'.", did_you_mean(chosen, there))
    root = _root(data, path)
    entries = data[chosen]
    files: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, str):
            raise InputError(f"`{chosen}` in {path} is not a path.", "Write a folder, a .txt list, or a list of them.")
        files += image_files(root / entry)
    return list(dict.fromkeys(files)), root, chosen


def _root(data: Mapping[str, Any], path: Path) -> Path:
    """`path`, relative to the file itself; where that is not there (it may be meant relative to a
    tool's own folder of datasets), the file's folder."""
    given = path.parent / str(data.get("path") or ".")
    return given if given.is_dir() else path.parent
