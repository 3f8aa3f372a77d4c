"""The machine we run on, as an edge device: asyncio subprocesses and plain files."""

from __future__ import annotations

import os
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError
from edgewright.transports.local.link import LocalLink


class Local:
    """`local`. Without a root, releases live under `.edgewright/devices/local` of the working folder."""

    name = "local"
    schemes = ("local",)

    async def open(self, address: str, *, root: str = "") -> Link:
        if address not in ("local", "local://"):
            raise ConfigError(f"'{address}' is not an address of this machine.", "Write `device: local`.")
        folder = Path(root) if root else Path(".edgewright/devices/local")
        return LocalLink(os.path.abspath(folder))  # noqa: PTH100 (keeps symlinks as the user wrote them)


MEMBER = Local()
