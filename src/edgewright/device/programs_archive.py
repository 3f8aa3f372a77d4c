"""The archive that our device programs come in, unpacked: they become visible whole, or not at all.

    python -I -c <this text> ARCHIVE …/tools/VERSION SHA256

A host sends this text along with the first archive, and a device that follows a channel calls `unpack`. So it imports
nothing of ours. The members are edgewright/…, in the order that their version is counted in, and `complete`, which is
empty and the last.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import shutil
import sys
import zipfile
from typing import Dict

LIMIT, FILES_LIMIT, FILES = 8 << 20, 32 << 20, 2000
"""Bytes of an archive, of all that is in it, and how many members it may have."""
MEMBER = r"edgewright/(?:[a-z0-9_]{1,60}/){0,4}[a-z0-9_]{1,60}\.[a-z0-9]{1,8}\Z"
COMPLETE = "complete"


class Damaged(Exception):
    """An archive that is not what it should be; nothing of it was kept."""


def unpack(archive: str, folder: str, digest: str) -> None:
    """Puts the programs in `archive`, a file with this sha256 (hex), into `folder`, which is named by their version;
    the archive is removed. Files of programs that are there already and are not what they should be are replaced."""
    place = os.path.dirname(folder)
    alone = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(alone, fcntl.LOCK_EX)  # another host may bring the same
        with open(archive, "rb") as file:
            data = file.read(LIMIT + 1)
        os.unlink(archive)
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged("the archive arrived damaged")
        files = members(data)
        if version(files) != os.path.basename(folder):
            raise Damaged("the archive has other programs than it says")
        if os.path.exists(os.path.join(folder, COMPLETE)):
            _mend(files, folder)
            return
        making = folder + ".making"
        for old in (making, folder):
            shutil.rmtree(old, ignore_errors=True)
        try:
            _write(files, making)
        except BaseException:  # a full disk is not to be kept full
            shutil.rmtree(making, ignore_errors=True)
            raise
        os.rename(making, folder)
        _sync(place)
    finally:
        os.close(alone)


def members(data: bytes) -> Dict[str, bytes]:
    """The files in an archive, by name and in its order. Damaged for names that lead elsewhere, or come twice, and for
    more than a few megabytes of them."""
    found: Dict[str, bytes] = {}
    left = FILES_LIMIT
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = archive.infolist()
            if len(data) > LIMIT or len(listed) > FILES:
                raise Damaged("the archive is too large")
            for member in listed:
                name = member.filename
                if name in found or not (re.match(MEMBER, name) or name == COMPLETE):
                    raise Damaged("the archive has the odd name %.100r" % name)
                with archive.open(member) as file:
                    found[name] = file.read(left + 1)
                left -= len(found[name])
                if left < 0:
                    raise Damaged("the archive is too large")
    except Damaged:
        raise
    except Exception:  # a hostile archive can make zipfile and zlib raise nearly anything
        raise Damaged("the archive cannot be read") from None
    if list(found)[-1:] != [COMPLETE] or found[COMPLETE]:
        raise Damaged("the archive is not complete")
    return found


def version(files: Dict[str, bytes]) -> str:
    """What these programs are called: twelve hexadecimal digits of a sha256 over names and contents, in their order."""
    total = hashlib.sha256()
    for name, data in files.items():
        if name != COMPLETE:
            total.update(name.rpartition("/")[2].encode("utf-8") + b"\0" + data)
    return total.hexdigest()[:12]


def _write(files: Dict[str, bytes], folder: str) -> None:
    os.makedirs(folder)
    for name, data in files.items():
        path = os.path.join(folder, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write_file(path, data)
    for inner, _, _ in os.walk(folder):
        _sync(inner)


def _mend(files: Dict[str, bytes], folder: str) -> None:
    """One file after the other, each whole: these programs may be running."""
    for name, data in files.items():
        path = os.path.join(folder, *name.split("/"))
        if not _has(path, data):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write_file(path + ".making", data)
            os.replace(path + ".making", path)
            _sync(os.path.dirname(path))


def _has(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except OSError:  # a sector that cannot be read is damage, too
        return False


def _write_file(path: str, data: bytes) -> None:
    with open(path, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    try:
        unpack(*sys.argv[1:])
    except Damaged as damaged:
        sys.exit(str(damaged))
