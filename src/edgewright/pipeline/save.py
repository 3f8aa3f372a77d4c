"""Save: a bundle as one file that installs itself where there is no network (device/stick.py is the program in it)."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.config import ServeConfig
from edgewright.core.errors import InputError
from edgewright.core.record import Record, canonical
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.device_program import PACKAGE, programs
from edgewright.pipeline.signing import signed_beside

SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = """\
import os, sys
from edgewright.device.stick import main
sys.exit(main(sys.argv[1:], os.path.abspath(sys.argv[0])))
"""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the same bundle gives the same file."""


@dataclass(frozen=True)
class Saved(Record):
    """The archive, its bytes, and the digest of the release in it."""

    path: Path
    size: int
    digest: str
    signed: bool


def save(bundle: Bundle, out: Path) -> Saved:
    """Writes the archive, whole or not at all. InputError where it cannot be written."""
    signed = signed_beside(bundle)
    tools, files = programs()
    plan = {
        "tools": tools,
        "manifest": bundle.digest,
        "sizes": bundle.sizes,
        "needs": bundle.needs,
        "serve": ServeConfig().model_dump(exclude={"wheels"}),
        "release": signed.request() if signed else None,
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".saving-", dir=out.parent)
        try:
            with os.fdopen(handle, "w+b") as file:
                file.write(SHEBANG)
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    _add(archive, "__main__.py", MAIN.encode())
                    _add(archive, "stick.json", canonical(plan))
                    for path in files:
                        _add(archive, f"edgewright/{path.relative_to(PACKAGE).as_posix()}", path)
                    for digest in sorted(bundle.sizes):
                        _add(archive, f"blobs/{digest}", bundle.blob(digest))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o755)
            Path(temporary).replace(out)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}.", "Choose another place with -o.") from None
    return Saved(out, out.stat().st_size, bundle.digest, signed is not None)


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = 0o644 << 16
    if isinstance(content, bytes):
        archive.writestr(member, content)
        return
    with content.open("rb") as source, archive.open(member, "w", force_zip64=True) as out:
        while block := source.read(1 << 20):
            out.write(block)
