"""Wheels: the packages that a service needs, resolved for the device's own platform and Python and carried in the
bundle. Fetched here, by pip, from the index that pip is configured with; the device fetches nothing."""

from __future__ import annotations

import asyncio
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, ToolError
from edgewright.core.recipe import ServiceSpec
from edgewright.core.record import Record, digest_of
from edgewright.device import wheels as device_wheels
from edgewright.device.durable import sha256_of
from edgewright.device.needs import numbers
from edgewright.pipeline.golden import Golden
from edgewright.store.cache import Store

NOT_ON_AN_INDEX = ("python", "cann", "driver")
"""What a service runs with and no package brings: it is there, or it must be installed by its maker's means."""
IMPORTED_AS = {"opencv-python-headless": "cv2", "pillow": "PIL"}
OLDEST_GLIBC = 5
"""manylinux_2_5 is the first; older ones have names of their own, which pip derives."""
TIMEOUT_S = 1800.0
TRY = "import importlib, sys; sys.path[:0] = sys.argv[2:]; [importlib.import_module(n) for n in sys.argv[1].split(',')]"


@dataclass(frozen=True)
class Platform(Record):
    """Whom wheels are for: `machine` as uname has it, `python` as "3.11", `glibc` as "2.36"."""

    machine: str
    python: str
    glibc: str


@dataclass(frozen=True)
class Wheels(Record):
    """Resolved packages: files of `folder` by name, with their sha256. `glibc` is the oldest that all run with,
    `unpacked` their bytes when unpacked. `executed` says whether they were imported here by the platform they are for;
    a device always does so, by replaying the golden samples, before they go live."""

    folder: Path
    files: Mapping[str, str]
    platform: Platform
    requirements: tuple[str, ...]
    glibc: str
    unpacked: int
    executed: bool = False

    def carries(self, distribution: str) -> bool:
        return any(requirement.split("==")[0] == distribution for requirement in self.requirements)


def requirements(service: ServiceSpec, golden: Golden, source: str | None) -> tuple[str, ...]:
    """What the service imports: the runtime and numpy in the very versions that it was checked with, and what decodes
    images, where it is given some (OpenCV for cameras and videos, Pillow for what comes over HTTP)."""
    found = []
    for name, version in sorted(golden.runtime.items()):
        digits = re.match(r"\d+(\.\d+)*", version)
        if name not in NOT_ON_AN_INDEX and digits:
            found.append(f"{name}=={digits[0]}")
    if service.task.kind != "tensors":
        found.append("opencv-python-headless" if source else "pillow")
    return tuple(found)


def platform_of(status: Mapping[str, Any]) -> Platform:
    """Of a device, by what its installer says. ConfigError where there are no wheels for such a system."""
    libc = re.match(r"glibc (\d+\.\d+)", str(status.get("libc") or ""))
    if libc is None or status.get("system", "Linux") != "Linux":
        raise ConfigError(
            f"serve.wheels: the device has {status.get('libc') or 'no glibc'}, and wheels are for Linux with glibc.",
            "Leave serve.wheels out, and install the runtime there.",
        )
    return Platform(str(status["machine"]), ".".join(str(status["python"]).split(".")[:2]), libc[1])


def resolve(store: Store, wanted: tuple[str, ...], target: Platform) -> Wheels:
    """The wheels of `wanted` and all that they require, for a platform; fetched once. ToolError with pip's own words
    where there is no such set."""
    key = digest_of(wanted, target)
    kept = store.get("wheels", key, Wheels)
    if kept is not None and all((kept.folder / name).is_file() for name in kept.files):
        return kept
    with store.making("wheels", key) as work:
        _download(wanted, target, work)
        files = {path.name: sha256_of(str(path)) for path in sorted(work.glob("*.whl"))}
        glibc = max((_glibc_of(name) for name in files), key=numbers, default="")
        unpacked = sum(_unpacked(work / name) for name in files)
    found = Wheels(store.folder("wheels", key), files, target, wanted, glibc, unpacked)
    return store.put("wheels", key, found)


async def tried(found: Wheels, link: Link) -> bool:
    """Whether the device's own Python imports what was asked for, out of these wheels alone. False, untried, where the
    device is another machine or of another kind. ToolError with Python's own words where it does not."""
    if not link.shares_files or found.platform.machine != platform.machine():
        return False
    names = [IMPORTED_AS.get(name, name.replace("-", "_")) for name in (r.split("==")[0] for r in found.requirements)]
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number, _ in enumerate(found.files)]
        for name, place in zip(found.files, places, strict=True):
            await asyncio.to_thread(device_wheels.unpack, str(found.folder / name), str(place))
        done = await link.run([link.python, "-I", "-S", "-c", TRY, ",".join(names), *map(str, places)])
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise ToolError(f"The packages that were resolved cannot be imported: {said}.", "Leave serve.wheels out.")
    return True


def _download(wanted: tuple[str, ...], target: Platform, work: Path) -> None:
    major, minor = (int(part) for part in target.glibc.split(".")[:2])
    tags = [f"manylinux_{major}_{n}_{target.machine}" for n in range(minor, OLDEST_GLIBC - 1, -1)]
    words = ["--only-binary=:all:", "--implementation", "cp", "--python-version", target.python]
    words += ["--abi", f"cp{target.python.replace('.', '')}"]
    words += [word for tag in (*tags, f"manylinux2014_{target.machine}") for word in ("--platform", tag)]
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*argv, *words, "--dest", str(work), "--", *wanted],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolError("pip did not fetch the device's packages in time.", "Is the index in reach?") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        said = " ".join(lines[-1].removeprefix("ERROR:").split())[:300].rstrip(".")
        whom = f"Python {target.python} on {target.machine} with glibc {target.glibc}"
        raise ToolError(
            f"pip found no packages for {whom}: {said}.", "Leave serve.wheels out, or give the device a newer Python."
        )


def _glibc_of(name: str) -> str:
    """The glibc that a wheel asks for, by its platform tags (PEP 600); of several the oldest. "" for none."""
    tags = name.removesuffix(".whl").rsplit("-", 1)[-1].split(".")
    older = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
    found = [f"{m[1]}.{m[2]}" for tag in tags if (m := re.match(r"manylinux_(\d+)_(\d+)_", tag))]
    found += [older[tag.split("_")[0]] for tag in tags if tag.split("_")[0] in older]
    return min(found, key=numbers, default="")


def _unpacked(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())
