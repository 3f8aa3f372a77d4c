"""Doctor: what this machine lacks for each target family, and the remedy for each. Nothing is changed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright import targets, transports
from edgewright.core.errors import EdgewrightError
from edgewright.core.facts import Check
from edgewright.core.record import Record
from edgewright.pipeline.progress import Progress

GIB = 1 << 30
DISK_WANTED, MEMORY_WANTED = 2 * GIB, 2 * GIB


@dataclass(frozen=True)
class Diagnosis(Record):
    """Checks of the machine, then of each family. `healthy`: nothing that is required is missing."""

    machine: tuple[Check, ...]
    families: dict[str, tuple[Check, ...]]
    healthy: bool


def doctor(home: Path, progress: Progress, *, target: str | None = None) -> Diagnosis:
    """Looks at this machine and at `target`, or at every family; then one usable family is enough.

    ConfigError where there is no family of that name.
    """
    names = (target,) if target else targets.names()
    progress.stage("doctor", "this machine")
    machine = tuple(_machine(home))
    families = {}
    for number, name in enumerate(names):
        progress.step(number, len(names), name)
        families[name] = asyncio.run(_family(name, home))
    usable = [all(check.ok or not check.required for check in checks) for checks in families.values()]
    enough = all(usable) if target else any(usable)
    healthy = enough and all(check.ok or not check.required for check in machine)
    return Diagnosis(machine, families, healthy)


async def _family(name: str, home: Path) -> tuple[Check, ...]:
    """A family's own checks on this machine. One that fails to look at itself says so instead of ending the rest."""
    member = targets.get(name)
    link = await transports.get("local").open("local", root=str(home / "doctor"))
    try:
        return tuple(await member.doctor(link))
    except EdgewrightError as error:
        return (Check(name, False, error.message, error.remedy),)
    except (ImportError, OSError) as error:
        return (
            Check(name, False, f"{type(error).__name__}: {error}", f"Install it: pip install 'edgewright[{name}]'"),
        )
    finally:
        await link.close()


def _machine(home: Path) -> Iterator[Check]:
    yield Check("system", True, f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Check(
        "python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()} ({sys.executable})",
        "Install Python 3.11 or newer.",
    )
    yield from _packages()
    yield _compiler()
    yield _make()
    yield _writable(home)
    yield _disk(home)
    yield _memory()


def _packages() -> Iterator[Check]:
    """Every requirement of ours, without the extras: present, and at least the version asked for."""
    wanted = importlib.metadata.requires("edgewright") or []
    found, wrong = [], []
    for line in (w for w in wanted if "extra ==" not in w):
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:>=([0-9.]+))?", line)
        assert match is not None
        name, least = match.group(1), match.group(2) or "0"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        found.append(f"{name} {version}")
        if _numbers(version) < _numbers(least):
            wrong.append(f"{name} is {version}, {least} is needed")
    text = "; ".join(wrong) or f"{len(found)} present"
    yield Check("packages", not wrong, text, "pip install --upgrade edgewright" if wrong else "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _compiler() -> Check:
    found = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    remedy = "" if found else "Debian, Ubuntu: apt install g++; macOS: xcode-select --install"
    detail = found or "none; needed only where a package has no wheel for this machine"
    return Check("compiler", found is not None, detail, remedy, required=False)


def _make() -> Check:
    found = shutil.which("make")
    remedy = "" if found else "Debian, Ubuntu: apt install make; macOS: xcode-select --install"
    return Check("make", found is not None, found or "none; only `make demo` and its like need it", remedy, False)


def _writable(home: Path) -> Check:
    place = home
    while not place.exists():
        place = place.parent
    fine = os.access(place, os.W_OK)
    return Check("results", fine, str(home), "" if fine else "Set EDGEWRIGHT_HOME to a folder you may write.")


def _disk(home: Path) -> Check:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    remedy = "" if free >= DISK_WANTED else "Free some space, or set EDGEWRIGHT_HOME to another disk."
    return Check("disk", free >= DISK_WANTED, f"{free / GIB:.1f} GiB free of the 2 GiB a run may need", remedy)


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return Check("memory", True, "unknown", required=False)
    remedy = "" if total >= MEMORY_WANTED else "Use a machine with 2 GiB or more, or a smaller model."
    return Check("memory", total >= MEMORY_WANTED, f"{total / GIB:.1f} GiB", remedy, required=False)


def named(diagnosis: Diagnosis) -> tuple[Check, ...]:
    """All checks in one list, those of a family under its name."""
    own = [replace(c, name=f"{family}: {c.name}") for family, checks in diagnosis.families.items() for c in checks]
    return (*diagnosis.machine, *own)
