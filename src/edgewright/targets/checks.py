"""Lines of `doctor` that families share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.facts import Check

_LOOK = (
    "import platform, sys\n"
    "from importlib import metadata\n"
    "try:\n    version = metadata.version(sys.argv[1])\n"
    "except metadata.PackageNotFoundError:\n    version = ''\n"
    "print(platform.python_version(), version)\n"
)


def packages(wanted: Mapping[str, str], *, extra: str = "", required: bool = True) -> tuple[Check, ...]:
    """One check per distribution needed on this machine: there, and not older than asked."""
    install = f"pip install 'edgewright[{extra}]'" if extra else "pip install edgewright"
    return tuple(_package(name, oldest, install, required) for name, oldest in wanted.items())


def _package(name: str, oldest: str, install: str, required: bool) -> Check:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, False, f"{name} is not installed here", f"Install it: {install}", required)
    fine = _numbers(version) >= _numbers(oldest)
    return Check(name, fine, f"{name} {version}", "" if fine else f"It needs {oldest} or newer: {install}", required)


async def on_device(
    link: Link, distribution: str, *, oldest_python: tuple[int, int] = (3, 8), required: bool = True
) -> Check:
    """Whether the device's Python can run the family's engine."""
    name = f"{distribution} on {link.address}"
    try:
        done = await link.run([link.python, "-c", _LOOK, distribution], timeout_s=60)
    except DeviceError as error:
        return Check(name, False, error.message, error.remedy, required)
    words = done.stdout.split()
    if done.returncode or not words:
        reason = " ".join(done.stderr.split())[-200:]
        return Check(name, False, f"its Python does not run: {reason}", "Install Python on the device.", required)
    if _numbers(words[0]) < oldest_python:
        wanted = ".".join(map(str, oldest_python))
        return Check(name, False, f"Python {words[0]}", f"{distribution} needs Python {wanted} or newer.", required)
    if len(words) < 2:
        return Check(name, False, f"Python {words[0]} without {distribution}", f"pip install {distribution}", required)
    return Check(name, True, f"{distribution} {words[1]}, Python {words[0]}", required=required)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
