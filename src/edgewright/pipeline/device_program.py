"""The installer on the device, from here: our own `device/` files are put there once, under their
digest, and every operation is one run of `edgewright.device.install`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import edgewright
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError, RejectedRelease

PACKAGE = Path(edgewright.__file__).parent
TIMEOUT_S = 1200.0


class Leased(DeviceError):
    """Another operator holds the device's lease; `holder` is who: owner, host, process."""

    def __init__(self, message: str, remedy: str, holder: Mapping[str, Any]) -> None:
        super().__init__(message, remedy)
        self.holder = holder


async def operate(link: Link, op: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The installer's answer to one operation. RejectedRelease where the release is at fault, else DeviceError."""
    code = await _bring(link)
    env = {"PYTHONPATH": code, "PYTHONNOUSERSITE": "1"}
    argv = [link.python, "-m", "edgewright.device.install", link.root, op]
    done = await link.run(argv, stdin=json.dumps(request), env=env, timeout_s=TIMEOUT_S)
    try:
        answer = json.loads(done.stdout)
        error = answer.get("error")
    except (ValueError, AttributeError):
        tail = " | ".join(done.stderr.strip().splitlines()[-3:])[:600] or f"status {done.returncode}"
        raise DeviceError(f"The installer on {link.address} ended without an answer: {tail}", "Deploy again.") from None
    if error:
        if error.get("kind") == "leased" and isinstance(error.get("holder"), dict):
            raise Leased(str(error.get("message"))[:500], str(error.get("remedy"))[:500], error["holder"])
        kind = RejectedRelease if error.get("kind") == "rejected" else DeviceError
        raise kind(str(error.get("message"))[:2000], str(error.get("remedy"))[:500])
    return dict(answer)


async def _bring(link: Link) -> str:
    """The folder on the device that holds our device programs."""
    digest, files = programs()
    folder = f"{link.root}/tools/{digest}"
    if await link.stat(f"{folder}/complete") is None:
        for path in files:
            await link.put(path, f"{folder}/edgewright/{path.relative_to(PACKAGE).as_posix()}")
        await link.put(files[0], f"{folder}/complete")  # last, and only its presence matters
    return folder


@cache
def programs() -> tuple[str, tuple[Path, ...]]:
    """Our programs for devices, and the digest that their folder is named by."""
    files = (PACKAGE / "__init__.py", *sorted((PACKAGE / "device").glob("*.py")))
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12], files
