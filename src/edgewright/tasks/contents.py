"""What files hold, remembered: the sha256 of each, and for an image its size.

A second look at an unchanged file costs one `stat`: what was found is kept in `contents.json` in the
folder given, under path, size and time of last change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.device.image import ImageError, checked_header, read_bytes

MEMO = "contents.json"


@dataclass(frozen=True)
class Content:
    """`width` and `height` are pixels of the upright image, 0 for other files."""

    sha256: str
    width: int = 0
    height: int = 0


def contents(paths: Sequence[Path], folder: Path, *, images: bool) -> dict[Path, Content]:
    """The content of each file. With `images`, InputError for one that is missing, cut off, no image or
    too large; else for one that cannot be read."""
    memo = _recall(folder)
    stamps = {path: _stamp(path) for path in paths}
    known: dict[Path, Content] = {}
    for path, stamp in stamps.items():
        entry = memo.get(str(path))
        if entry is not None and entry[:2] == list(stamp) and (entry[3] > 0) == images:
            known[path] = Content(entry[2], entry[3], entry[4])
    missing = [path for path in stamps if path not in known]
    if missing:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            found = list(pool.map(_look_at_image if images else _look_at_file, missing))
        known.update(zip(missing, found, strict=True))
        memo.update({str(p): [*stamps[p], known[p].sha256, known[p].width, known[p].height] for p in missing})
        _remember(folder, memo)
    return {path: known[path] for path in paths}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the data's paths.") from None
    return found.st_size, found.st_mtime_ns


def _look_at_image(path: Path) -> Content:
    try:
        data = read_bytes(str(path))
        width, height = checked_header(data, str(path)).upright
    except ImageError as error:
        raise InputError(error.message, error.remedy) from None
    return Content(hashlib.sha256(data).hexdigest(), width, height)


def _look_at_file(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            return Content(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the data's paths.") from None


def _recall(folder: Path) -> dict[str, list]:  # type: ignore[type-arg]
    """What was remembered; nothing where the file is absent or was damaged."""
    with contextlib.suppress(OSError, ValueError):
        memo = json.loads((folder / MEMO).read_text(encoding="utf-8"))
        if isinstance(memo, dict):
            return {k: v for k, v in memo.items() if isinstance(v, list) and len(v) == 5}
    return {}


def _remember(folder: Path, memo: dict[str, list]) -> None:  # type: ignore[type-arg]
    part = folder / f"{MEMO}.{os.getpid()}.part"
    folder.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps(memo, separators=(",", ":")), encoding="utf-8")
    part.replace(folder / MEMO)
