"""Our own programs on a device: tools/<digest>, one folder a version, each put there whole by a host, a stick or a
channel."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from typing import Iterator, Optional

from edgewright.device import durable
from edgewright.device.programs_archive import COMPLETE
from edgewright.device.release import Layout, ReleaseError
from edgewright.device.serving import CODE, version_of

KEPT = 3
"""Versions that stay, the youngest: hosts of several versions may share a device, and one may be about to begin."""
LINKS = ("program", "channel/programs", "channel/programs-before")
"""Links in the device folder to versions that stay: the unit's, and those of the channel."""
REMOVING = ".removing"


def folder_of(layout: Layout, version: str) -> str:
    return os.path.join(layout.root, "tools", version)


def linked(layout: Layout, link: str) -> Optional[str]:
    """The version that a link of the device folder leads to; None where it is not there whole."""
    try:
        version = os.path.basename(os.readlink(os.path.join(layout.root, link)))
    except OSError:
        return None
    whole = re.match(r"[0-9a-f]{12}\Z", version) and os.path.exists(os.path.join(folder_of(layout, version), COMPLETE))
    return version if whole else None


@contextlib.contextmanager
def held(folder: str) -> Iterator[None]:
    """Meanwhile nobody removes these programs. ReleaseError where somebody just does."""
    try:
        file = open(os.path.join(folder, COMPLETE), "rb")
    except OSError:
        raise ReleaseError("The programs in %s are not whole." % folder, "They are fetched again.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            raise ReleaseError("The programs in %s are being removed." % folder, "They are fetched again.") from None
        yield


def collect(layout: Layout) -> None:
    """Removes the versions that nobody uses: not this installer, not the supervisor, no link, not a process that holds
    them, and not among the youngest."""
    folder = os.path.join(layout.root, "tools")
    if not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        if name.endswith(REMOVING):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    there = [name for name in os.listdir(folder) if re.match(r"[0-9a-f]{12}\Z", name)]
    there.sort(key=lambda name: os.path.getmtime(os.path.join(folder, name)), reverse=True)
    state = durable.read_json(layout.state) or {}
    links = [os.path.basename(os.path.realpath(os.path.join(layout.root, link))) for link in LINKS]
    used = {version_of(CODE), version_of(str(state.get("code") or "")), *links, *there[:KEPT]}
    for name in there:
        if name not in used:
            _remove(os.path.join(folder, name))


def _remove(folder: str) -> None:
    """Under another name first: what has lost a part must not look complete."""
    with contextlib.ExitStack() as open_files:
        try:
            file = open_files.enter_context(open(os.path.join(folder, COMPLETE), "rb"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except OSError:
            return  # somebody holds them
        try:
            os.rename(folder, folder + REMOVING)
        except OSError:
            return
        shutil.rmtree(folder + REMOVING, ignore_errors=True)
