"""Whether a device is what a bundle needs: its `needs.json` against what the installer says of the device.

Asked by the host before a byte is sent, and by the self-installing archive, which has no host.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Tuple

RESERVE_BYTES = 32 << 20
"""Disk that stays free beside what is sent: logs, readings, the journal."""

Difference = Optional[Tuple[str, str]]
"""What is wrong and what to do, in a sentence each; None where nothing is."""


def difference(needs: Mapping[str, Any], status: Mapping[str, Any]) -> Difference:
    """The first thing in which the device (`status` of device/install.py) is not what `needs` (pipeline.bundle.Needs as
    JSON) asks for."""
    return _machine(needs, status) or _software(needs, status) or _room(needs, status)


def too_full(size: int, status: Mapping[str, Any]) -> Difference:
    """Whether `size` bytes fit on the device's disk."""
    free, needed = int(status["disk_free"]), size + RESERVE_BYTES
    if needed <= free:
        return None
    message = "The device has %d MiB of disk free; %d are needed." % (free >> 20, needed >> 20)
    return message, "Free some space on it and deploy again."


def _machine(needs: Mapping[str, Any], status: Mapping[str, Any]) -> Difference:
    machine, chip, there = needs.get("machine"), needs.get("soc_version"), status.get("soc_version")
    if machine and status["machine"] != machine:
        said = "The bundle was checked on %s, and the device is %s." % (machine, status["machine"])
        return said, "Run again for this device."
    if chip and there != chip:
        return (
            "The model was compiled for %s, and the device %s."
            % (chip, "has %s" % there if there else "shows no such chip"),
            "Run again for the device's own chip; `edgewright doctor` says what is wrong with a chip out of reach.",
        )
    return None


def _software(needs: Mapping[str, Any], status: Mapping[str, Any]) -> Difference:
    python, least, below = str(status["python"]), str(needs.get("python") or ""), str(needs.get("python_below") or "")
    if numbers(python) < numbers(least):
        return "The device has Python %s." % python, "Python %s or newer is needed." % least
    if below and numbers(python) >= numbers(below):
        said = "The device has Python %s, and the bundle's packages are for %s." % (python, least)
        return said, "Pack it again for this device."
    libc = re.match(r"glibc ([\d.]+)", str(status.get("libc") or ""))
    if needs.get("glibc") and (libc is None or numbers(libc.group(1)) < numbers(str(needs["glibc"]))):
        said = "The bundle needs glibc %s, and the device has %s." % (needs["glibc"], status.get("libc") or "none")
        return said, "Use a device with a newer system, or pack older packages."
    for name, (first, end) in sorted((needs.get("runtimes") or {}).items()):
        there = str(status["runtimes"].get(name) or "")
        if not there or not numbers(first) <= numbers(there) < numbers(end):
            said = "The bundle was checked with %s %s, and the device has %s." % (name, first, there or "none")
            return said, "Install %s>=%s,<%s there, or run again for what it has." % (name, first, end)
    return None


def _room(needs: Mapping[str, Any], status: Mapping[str, Any]) -> Difference:
    memory, wanted = int(status["memory"]), int(needs.get("memory_bytes") or 0)
    if 0 < memory < wanted:
        said = "The device has %d MiB of memory; the service needs %d." % (memory >> 20, wanted >> 20)
        return said, "Choose a smaller model or a larger device."
    if needs.get("disk_bytes") and not status.get("current"):
        return too_full(int(needs["disk_bytes"]), status)
    return None  # beside a release much of it is there already: what is really sent is counted before it is


def numbers(version: str) -> Tuple[float, ...]:
    """A version's leading numbers, for comparing; `~` after them sorts it behind all that begin so."""
    found = [float(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version, maxsplit=1)[0])]
    return tuple(found) + ((float("inf"),) if version.endswith("~") else ())
