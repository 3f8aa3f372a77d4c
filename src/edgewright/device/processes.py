"""Processes known by number and start time, so that a number used again is never taken for ours."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any, Dict, Optional


def identity(pid: int) -> Optional[Dict[str, Any]]:
    """{"pid", "started"} of a live process; None where there is none (or only its remains)."""
    started = _start_time(pid)
    return None if started is None else {"pid": pid, "started": started}


def alive(known: Optional[Dict[str, Any]]) -> bool:
    """Whether the very process that `identity` described still runs."""
    if not isinstance(known, dict) or not isinstance(known.get("pid"), int) or known["pid"] <= 1:
        return False
    return _start_time(known["pid"]) == known.get("started")


def end(known: Optional[Dict[str, Any]], patience_s: float) -> bool:
    """SIGTERM, then SIGKILL after `patience_s`. True when it is gone."""
    for sign, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        if not send(known, sign):
            return True
        if wait_gone(known, wait_s):
            return True
    return not alive(known)


def send(known: Optional[Dict[str, Any]], sign: int) -> bool:
    """Sends a signal to the process if it is still the one that was known."""
    if not alive(known):
        return False
    assert known is not None
    try:
        os.kill(known["pid"], sign)
    except ProcessLookupError:
        return False
    return True


def wait_gone(known: Optional[Dict[str, Any]], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while alive(known):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _start_time(pid: int) -> Optional[str]:
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None if os.path.isdir("/proc/self") else _start_time_elsewhere(pid)
    # proc(5): after the name come state (field 3) and, 19 further, starttime (field 22).
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _start_time_elsewhere(pid: int) -> Optional[str]:
    """macOS and others: ps knows."""
    try:
        done = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    state, _, started = done.stdout.decode(errors="replace").strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None
