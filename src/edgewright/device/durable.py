"""Files that are whole after a kill or a power cut: temporary name, fsync, rename, fsync of the folder.

Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): a rename without an fsync before it
may leave an empty file, and without an fsync of the folder after it may itself be lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from typing import Any, Dict, Optional

JSON_LIMIT = 16 << 20
"""Bytes of a JSON file that are read; ours are a few kilobytes."""


def sync_folder(folder: str) -> None:
    """Puts the names of a folder on the disk, not what is in its files."""
    sync(folder)


def sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str, text: str) -> None:
    """Replaces `path` by `text`, all of it or not at all."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        like(temporary, path)  # a file of the service's own user stays that user's when root writes it anew
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(folder)


def write_json(path: str, value: Any) -> None:
    write_text(path, json.dumps(value, sort_keys=True) + "\n")


def read_json(path: str) -> Optional[Dict[str, Any]]:
    """The JSON object of a file; None where there is none, or it is damaged, or it is no object."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(JSON_LIMIT + 1).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def like(path: str, model: str) -> None:
    """Where root writes for a service that has its own user: gives `path` the owner of `model`, if that is not root."""
    if os.geteuid() == 0 and os.path.lexists(model):
        owner = os.lstat(model)
        if owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def without_creating(path: str, flags: int) -> int:
    """An opener (see open()) that creates only what is not there. What belongs to the service's own user in root's
    sticky folder, Linux lets nobody else open with O_CREAT, not even root (proc_sys_fs(5), protected_regular)."""
    try:
        return os.open(path, flags & ~os.O_CREAT)
    except FileNotFoundError:
        return os.open(path, flags, 0o666)


def switch_link(link: str, target: str, model: str = "") -> None:
    """Points the symbolic link `link` at `target` (a name beside it) in one step. It is the owner's of `model` (`like`)
    before anybody sees it."""
    folder, name = os.path.split(link)
    for left in os.listdir(folder):
        if left.startswith(name + ".next"):  # somebody was killed; where it was root, only root can clear it up
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, left))
    temporary = "%s.next-%s" % (link, os.urandom(4).hex())
    try:
        os.symlink(target, temporary)
        like(temporary, model)
        os.replace(temporary, link)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(folder)


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sha256_of(path: str) -> str:
    """sha256 (hex) of a file, read in pieces."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()
