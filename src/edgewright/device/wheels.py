"""Packages that a release brings along: wheels, unpacked by ourselves, for boards without pip, venv or internet.

A wheel is a zip (PyPA, binary distribution format): what lies at its top goes onto the path as it is; of
`<name>-<version>.data/` only purelib and platlib do, for scripts and headers have no use here. Each wheel is unpacked
once into packages/<its sha256>/ of the device folder, whatever number of releases use it.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from typing import Any, Iterable, List, Mapping, Optional, Set

from edgewright.device import durable
from edgewright.device.release import Layout, Manifest, ReleaseError, is_digest, safe_path

FOLDER = "wheels/"
MEMBERS_LIMIT = 100000
UNPACKED_LIMIT = 16 << 30
MAKING = ".unpacking-"


def unpack_all(layout: Layout, manifest: Manifest) -> List[str]:
    """The digests of the wheels of a release, each unpacked; in the order of their names. ReleaseError for one that
    would write outside its folder."""
    found = []
    for layer in sorted(manifest.layers):
        if layer.path.startswith(FOLDER) and layer.path.endswith(".whl"):
            folder = os.path.join(layout.packages, layer.digest)
            if not os.path.isdir(folder):
                making = os.path.join(layout.packages, MAKING + layer.digest)
                shutil.rmtree(making, ignore_errors=True)
                unpack(layout.blob(layer.digest), making)
                os.sync()  # thousands of small files: one call for all is kinder to a memory card than one for each
                os.rename(making, folder)
                durable.sync_folder(layout.packages)
            found.append(layer.digest)
    return found


def unpack(wheel: str, folder: str) -> None:
    """Writes the files of a wheel into `folder`, which is made."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_LIMIT or sum(member.file_size for member in members) > UNPACKED_LIMIT:
                raise ReleaseError("The package %s is too large." % os.path.basename(wheel), "Pack without it.")
            os.makedirs(folder, exist_ok=True)
            for member in members:
                path = None if member.is_dir() else place_of(member.filename)
                if path is not None:
                    _write(archive, member, os.path.join(folder, *path.split("/")))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        message = "The package %s cannot be unpacked: %s." % (os.path.basename(wheel), error)
        raise ReleaseError(message, "Pack the bundle again.") from None


def place_of(name: str) -> Optional[str]:
    """Where a member of a wheel goes below its folder; None where it goes nowhere."""
    parts = safe_path(name).split("/")
    if not parts[0].endswith(".data"):
        return name
    return "/".join(parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None


def folders(layout: Layout, own: Mapping[str, Any]) -> List[str]:
    """What a release (`own` is its release.json) needs on its path."""
    named = own.get("packages")
    return [os.path.join(layout.packages, name) for name in named if is_digest(name)] if isinstance(named, list) else []


def collect(layout: Layout, kept: Iterable[Mapping[str, Any]]) -> None:
    """Removes what none of the kept releases uses, and what was being unpacked when somebody was killed."""
    used: Set[str] = {os.path.basename(folder) for own in kept for folder in folders(layout, own)}
    if os.path.isdir(layout.packages):
        for name in set(os.listdir(layout.packages)) - used:
            shutil.rmtree(os.path.join(layout.packages, name), ignore_errors=True)


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, open(path, "wb") as out:
        while True:
            block = source.read(1 << 20)
            left -= len(block)
            if not block or left < 0:
                break
            out.write(block)
    os.chmod(path, 0o755 if member.external_attr >> 16 & 0o100 else 0o644)
