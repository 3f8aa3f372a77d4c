"""Copies that survive a kill at any moment: temporary name, fsync, rename, fsync of the folder.

A copy that was cut goes on where it stopped: the part that is there is compared with the source and
only the rest is written. A file whose content is already there is left alone.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20


def copy(source: Path, destination: Path) -> None:
    """Copies a file or a folder (its files one by one). OSError as the file system says it."""
    if not source.is_dir():
        _copy_file(source, destination)
        return
    destination.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.is_file():
            _copy_file(path, target)
        else:
            raise OSError(f"{path} is neither a file nor a folder")


def _copy_file(source: Path, destination: Path) -> None:
    if destination.is_dir():
        raise IsADirectoryError(f"{destination} is a folder")
    if destination.is_file() and filecmp.cmp(source, destination, shallow=False):
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f".{destination.name[:200]}.part")
    with source.open("rb") as reader, part.open("ab") as writer:
        writer.truncate(_agreed(reader, part))
        reader.seek(writer.seek(0, os.SEEK_END))
        shutil.copyfileobj(reader, writer, CHUNK)
        writer.flush()
        os.fsync(writer.fileno())
    part.chmod(source.stat().st_mode & 0o777)
    part.rename(destination)
    _sync_folder(destination.parent)


def _agreed(reader: BinaryIO, part: Path) -> int:
    """How many leading bytes of the part are the source's own, in whole chunks."""
    agreed = 0
    with part.open("rb") as there:
        while (block := there.read(CHUNK)) and block == reader.read(len(block)):
            agreed += len(block)
    return agreed


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
