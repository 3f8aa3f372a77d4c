"""Whether a release is still what was installed. A file of a release is a second name of its blob, so where the card
rots under one of them, every release that shares the blob has rotted with it.

All files are read for this, which takes a slow card a second for every 20 to 90 MB: it is asked before a release that
has rested is switched to, and where a host is told that nothing has to be changed; not at every boot.
"""

from __future__ import annotations

import os
import shutil
from typing import List, Optional, Sequence

from edgewright.device import durable
from edgewright.device.release import OWN_FILE, Layout, Manifest, ReleaseError, parse_manifest

MANIFEST = "its manifest"
"""Named where the manifest itself is damaged: the files can then not be checked, and may be all right."""
MAKING = ".making-mended"
"""In releases/, where the next operation clears away what begins so."""


def damaged(layout: Layout, name: str) -> List[str]:
    """The paths of the files of a release that are missing, cannot be read, or are not what its manifest says."""
    own = layout.describe(name)
    if own is None or name.partition("-")[2] != str(own.get("digest"))[:12]:
        return [OWN_FILE]
    manifest = _manifest(layout, str(own["digest"]))
    if manifest is None:
        return [MANIFEST]
    folder = layout.folder(name)
    return [layer.path for layer in manifest.layers if not _is(os.path.join(folder, layer.path), layer.digest)]


def listed(paths: Sequence[str]) -> str:
    """For a sentence: the first of them, and how many more there are."""
    more = " and %d more" % (len(paths) - 3) if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


def mend(layout: Layout) -> List[str]:
    """Links damaged files of `current` and `previous` to their blobs again, where those have been replaced by whole
    ones; their paths below releases/. What has the same inode as its blob is not read: it cannot be mended by it."""
    mended = []
    for name in sorted(filter(None, {layout.linked(layout.current), layout.linked(layout.previous)})):
        manifest = _manifest(layout, str((layout.describe(name) or {}).get("digest")))
        for layer in manifest.layers if manifest else ():
            path, blob = os.path.join(layout.folder(name), layer.path), layout.blob(layer.digest)
            if not _same(path, blob) and not _is(path, layer.digest) and _is(blob, layer.digest):
                _replace(layout, blob, path)
                mended.append("%s/%s" % (name, layer.path))
    return mended


def _manifest(layout: Layout, digest: str) -> Optional[Manifest]:
    """None where it is not there whole."""
    try:
        path = layout.blob(digest)
        if not _is(path, digest):
            return None
        with open(path, "rb") as file:
            return parse_manifest(file.read())
    except (OSError, ReleaseError):
        return None


def _is(path: str, digest: str) -> bool:
    """A sector that cannot be read is damage, too."""
    try:
        return not os.path.islink(path) and durable.sha256_of(path) == digest
    except OSError:
        return False


def _same(path: str, blob: str) -> bool:
    try:
        return os.path.samefile(path, blob)
    except OSError:
        return False


def _replace(layout: Layout, blob: str, path: str) -> None:
    making = layout.folder(MAKING)
    shutil.rmtree(making, ignore_errors=True)
    os.makedirs(making)
    temporary = os.path.join(making, "file")
    try:
        os.link(blob, temporary)
    except OSError:  # a file system without hard links, or too many of one file
        shutil.copyfile(blob, temporary)
        durable.sync(temporary)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.replace(temporary, path)
    durable.sync_folder(os.path.dirname(path))
    shutil.rmtree(making, ignore_errors=True)
