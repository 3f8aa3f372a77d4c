"""The bake time of a release: it serves, and is watched, before it counts as installed.

For `serve.bake_s` seconds it must not end, must not hang, and must keep its limits (gate.json) under what it is really
asked: the p95 of its readings, where they hold enough, and its memory.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional

from edgewright.device.release import ReleaseError
from edgewright.device.serving import Serving

LOOK_S = 0.2
ENOUGH = 30
"""Inferences without which a p95 is no verdict."""


def bake(serving: Serving, name: str, seconds: float, limits: Mapping[str, Any]) -> str:
    """Watches the release for `seconds`. "" when it lasted and kept its limits, else why not, as a sentence."""
    if seconds <= 0:
        return ""
    agent, since = serving.state().get("agent"), _last_seq(serving)
    deadline = time.monotonic() + seconds
    while True:
        state = serving.state()
        if state.get("agent") != agent or not serving.serves(name):
            said = _ended(serving, name, agent)
            if said:
                return said
        if time.monotonic() >= deadline:
            break
        time.sleep(min(LOOK_S, max(0.0, deadline - time.monotonic())))
    return broken(_readings(serving, since), limits)


def broken(readings: List[Mapping[str, Any]], limits: Mapping[str, Any]) -> str:
    """Which limit the readings of the bake time break; "" where none is. The limit of p95 is
    broken where it is in more than half of the windows: by inferences, those that were quick would outvote the slow."""
    limit = limits.get("latency_p95_ms")
    count = sum(int(reading.get("count") or 0) for reading in readings)
    busy = [float(reading.get("p95") or 0) for reading in readings if reading.get("count")]
    over = [p95 for p95 in busy if limit and p95 > float(limit)]
    if limit and count >= ENOUGH and 2 * len(over) > len(busy):
        return "In its bake time p95 was %.2f ms, over the limit of %g ms" % (max(over), limit)
    memory = max((int(reading.get("memory_bytes") or 0) for reading in readings), default=0)
    if limits.get("memory_mb") and memory > float(limits["memory_mb"]) * (1 << 20):
        return "In its bake time it took %d MiB, over the limit of %g MiB" % (memory >> 20, limits["memory_mb"])
    errors = sum(int(reading.get("errors") or 0) for reading in readings)
    if errors >= ENOUGH and 2 * errors > count + errors:
        return "In its bake time %d of %d inferences failed" % (errors, count + errors)
    return ""


def _ended(serving: Serving, name: str, agent: Optional[Dict[str, Any]]) -> str:
    """One silence may be the service being busy: it is asked again before it is condemned."""
    for _ in range(10):
        state = serving.state()
        if state.get("agent") != agent:
            return "It ended during its bake time%s" % (": %s" % state["reason"] if state.get("reason") else "")
        if serving.serves(name):
            return ""
        time.sleep(LOOK_S)
    return "It stopped answering during its bake time"


def _last_seq(serving: Serving) -> int:
    try:
        return int(serving.readings(1 << 52).get("last") or 0)
    except (ReleaseError, TypeError, ValueError):
        return 0


def _readings(serving: Serving, since: int) -> List[Mapping[str, Any]]:
    """Those of the bake time; none where the service gives none."""
    try:
        return [reading for reading in serving.readings(since)["readings"] if isinstance(reading, dict)]
    except ReleaseError:
        return []
