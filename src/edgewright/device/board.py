"""Readings of the board: memory, temperature, load, disk. `system` is where /proc and /sys are (tests use a copy)."""

from __future__ import annotations

import os
import shutil
from typing import Dict, Optional, Set

_others: Set[int] = set()
"""Processes whose memory counts as this one's: a native program that makes its predictions."""


def count_in(pid: int) -> None:
    _others.add(pid)


def leave_out(pid: int) -> None:
    _others.discard(pid)


def memory_bytes(pid: Optional[int] = None, system: str = "/") -> Dict[str, int]:
    """{"bytes": resident now, "peak_bytes": most resident so far} of a process; {} where not known. Without a `pid`
    it is this process with those that are counted in."""
    found = _memory_of(pid, system)
    for other in _others if pid is None and found else ():
        for name, value in _memory_of(other, system).items():
            found[name] += value
    return found


def _memory_of(pid: Optional[int], system: str) -> Dict[str, int]:
    try:
        with open(os.path.join(system, "proc", str(pid or "self"), "status"), encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return {
            "bytes": int(fields["VmRSS"].split()[0]) * 1024,
            "peak_bytes": int(fields["VmHWM"].split()[0]) * 1024,
        }
    except (OSError, KeyError, ValueError, IndexError):
        return _own_peak() if pid is None and system == "/" else {}


def _own_peak() -> Dict[str, int]:
    """Where there is no /proc, getrusage knows the peak of the calling process alone."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
    return {"bytes": peak, "peak_bytes": peak}


def temperature_c(system: str = "/") -> Optional[float]:
    """The warmest thermal zone in degrees Celsius; None where no zone gives a believable number."""
    zones = os.path.join(system, "sys", "class", "thermal")
    found = []
    try:
        names = sorted(os.listdir(zones))
    except OSError:
        return None
    for name in names:
        if name.startswith("thermal_zone"):
            try:
                with open(os.path.join(zones, name, "temp"), encoding="ascii") as file:
                    value = int(file.read().strip()) / 1000.0
            except (OSError, ValueError):
                continue
            if -60.0 < value < 200.0 and value != 0.0:  # a zone that is switched off says 0 or an absurdity
                found.append(value)
    return max(found, default=None)


def load1() -> Optional[float]:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def memory_total() -> int:
    """Physical memory in bytes; 0 where not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def memory_available(system: str = "/") -> int:
    """Bytes that a new process can have without swapping (MemAvailable, proc(5)); 0 where not known."""
    try:
        with open(os.path.join(system, "proc", "meminfo"), encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return 0


def disk_free(folder: str) -> int:
    """Bytes free to us on the disk of the nearest existing parent of `folder`."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def boot_id(system: str = "/") -> str:
    """The kernel's id of this boot; where there is none, one of our own process."""
    try:
        with open(os.path.join(system, "proc/sys/kernel/random/boot_id"), encoding="ascii") as file:
            return file.read().strip()[:64]
    except OSError:
        import uuid

        return str(uuid.uuid4())
