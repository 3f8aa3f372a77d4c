"""Device programs of other versions, for channels that bring them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from edgewright.device.programs_archive import members, unpack, version
from edgewright.pipeline import channel as publishing
from edgewright.pipeline import device_program

NEW = device_program.programs()[0]
"""The version of those that are tested."""


class Edition:
    """Device programs of another version: ours, with something added to some of the files."""

    def __init__(self, **added: str) -> None:
        files = members(device_program.archive())
        for name, text in added.items():
            files[f"edgewright/device/{name}.py"] += text.encode()
        self.archive, self.version = zipped(files), version(files)

    def publish(self, monkeypatch: pytest.MonkeyPatch, to: Callable[[], Any], named: str = "") -> None:
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "archive", lambda: self.archive)
            patch.setattr(publishing, "programs", lambda: (named or self.version, ()))
            to()

    def put(self, root: Path) -> Path:
        """As a host has brought them."""
        folder = root / "tools" / self.version
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = root / "tools" / "sent.zip"
        archive.write_bytes(self.archive)
        unpack(str(archive), str(folder), hashlib.sha256(self.archive).hexdigest())
        return folder


def zipped(files: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()
