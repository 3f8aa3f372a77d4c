"""The installer on the device, from here: our own `device/` files are put there once, under their
digest, and every operation is one run of `edgewright.device.install`.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import secrets
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import edgewright
from edgewright.core.contracts import Completed, Link
from edgewright.core.errors import DeviceError, RejectedRelease

PACKAGE = Path(edgewright.__file__).parent
TIMEOUT_S = 1200.0
"""How long one operation of the installer may take: it may replay the golden samples of a slow release three times."""
MARGIN_S = 60.0
LONGEST = 4 << 20
"""How much text an answer may be; the readings of a service that nobody asked for a week may be more."""
LONGEST_READINGS = 64 << 20
UNPACK = (PACKAGE / "device" / "programs_archive.py").read_text(encoding="utf-8")
"""Run on the device: the programs become visible whole, or not at all."""


class Leased(DeviceError):
    """Another operator holds the device's lease; `holder` is who: owner, host, process."""

    def __init__(self, message: str, remedy: str, holder: Mapping[str, Any]) -> None:
        super().__init__(message, remedy)
        self.holder = holder


class Busy(DeviceError):
    """An installer is at work on the device, maybe one that a connection or a host of ours has left behind: it comes to
    its end by itself."""


async def operate(link: Link, op: str, request: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The installer's answer to one operation. RejectedRelease where the release is at fault, else DeviceError: Leased
    where another operator is at work, Busy where another operation is. An installer that has not ended after
    `timeout_s` is ended: what it began, the next operation finishes or undoes."""
    code = await _bring(link)
    env = {"PYTHONPATH": code, "PYTHONNOUSERSITE": "1"}
    argv = [link.python, "-m", "edgewright.device.install", link.root, op]
    try:
        async with asyncio.timeout(timeout_s):
            done = await link.run(argv, stdin=json.dumps(request), env=env, timeout_s=timeout_s + MARGIN_S)
    except TimeoutError:
        raise DeviceError(
            f"The installer on {link.address} did not end its `{op}` within {timeout_s:g} s; it was ended.",
            "A whole release serves; `edgewright status` says how far it came, and the next deployment or rollback "
            "finishes or undoes it first.",
        ) from None
    answer = _answer(link, op, done)
    error = answer.get("error")
    if error:
        if error.get("kind") == "leased" and isinstance(error.get("holder"), dict):
            raise Leased(str(error.get("message"))[:500], str(error.get("remedy"))[:500], error["holder"])
        kind = {"rejected": RejectedRelease, "busy": Busy}.get(str(error.get("kind")), DeviceError)
        raise kind(str(error.get("message"))[:2000], str(error.get("remedy"))[:500])
    return answer


def _answer(link: Link, op: str, done: Completed) -> dict[str, Any]:
    """What the installer said, as an object that can be written down. DeviceError for anything else: a device may say
    what it likes, and one that says too much, or half a character, must not stop the others."""
    strange = DeviceError(f"The installer on {link.address} gave a strange answer.", "Deploy again.")
    if len(done.stdout) > (LONGEST_READINGS if op == "readings" else LONGEST):
        raise strange
    try:
        answer = json.loads(done.stdout)
        json.dumps(answer, ensure_ascii=False).encode()  # refuses half of a surrogate pair
    except UnicodeEncodeError:
        raise strange from None
    except ValueError:
        tail = " | ".join(done.stderr.strip().splitlines()[-3:])[:600] or f"status {done.returncode}"
        raise DeviceError(f"The installer on {link.address} ended without an answer: {tail}", "Deploy again.") from None
    except RecursionError:
        raise strange from None
    if not isinstance(answer, dict) or not isinstance(answer.get("error") or {}, dict):
        raise strange
    return answer


async def _bring(link: Link) -> str:
    """The folder on the device that holds our device programs. They go there in one archive: file after file would
    cost a few round trips each."""
    digest, _ = programs()
    folder = f"{link.root}/tools/{digest}"
    if await link.stat(f"{folder}/complete") is None:
        data, sent = archive(), f"{folder}.{secrets.token_hex(4)}.zip"
        with tempfile.NamedTemporaryFile(prefix="edgewright-", suffix=".zip") as file:
            file.write(data)
            file.flush()
            await link.put(Path(file.name), sent)
        argv = [link.python, "-I", "-c", UNPACK, sent, folder, hashlib.sha256(data).hexdigest()]
        done = await link.run(argv, timeout_s=TIMEOUT_S)
        if await link.stat(f"{folder}/complete") is None:
            tail = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:300]
            raise DeviceError(
                f"Our programs cannot be unpacked on {link.address}: {tail}.", "Check its disk and deploy again."
            )
    return folder


@cache
def archive() -> bytes:
    """Our programs for devices as a zip file: the same programs, the same bytes."""
    _, files = programs()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        named = [(f"edgewright/{path.relative_to(PACKAGE).as_posix()}", path.read_bytes()) for path in files]
        for name, data in [*named, ("complete", b"")]:
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@cache
def programs() -> tuple[str, tuple[Path, ...]]:
    """Our programs for devices, and the digest that their folder is named by."""
    files = (PACKAGE / "__init__.py", *sorted((PACKAGE / "device").glob("*.py")))
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12], files
