"""Our own programs on a device: tools/<digest>, one folder a version, each put there whole by a host or a stick."""

from __future__ import annotations

import os
import re
import shutil

from edgewright.device import durable
from edgewright.device.release import Layout
from edgewright.device.serving import CODE, version_of

KEPT = 3
"""Versions that stay, the youngest: hosts of several versions may share a device, and one may be about to begin."""


def collect(layout: Layout) -> None:
    """Removes the versions that nobody uses: not this installer, not the supervisor, not the unit (`program`), and
    not among the youngest."""
    folder = os.path.join(layout.root, "tools")
    if not os.path.isdir(folder):
        return
    there = [name for name in os.listdir(folder) if re.match(r"[0-9a-f]{12}\Z", name)]
    there.sort(key=lambda name: os.path.getmtime(os.path.join(folder, name)), reverse=True)
    state = durable.read_json(layout.state) or {}
    program = os.path.basename(os.path.realpath(os.path.join(layout.root, "program")))
    used = {version_of(CODE), version_of(str(state.get("code") or "")), program, *there[:KEPT]}
    for name in there:
        if name not in used:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
