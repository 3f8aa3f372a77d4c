"""Whose turn it is on a device: two operators at once would send into the same folder and undo each other's work.

lease.json   {"owner", "token", "host", "process", "boot", "taken", "until"}

The lock of the installer lasts for one operation; a lease lasts from the first (what is missing?) to the last (install)
and over all the uploading in between. Its time is the device's monotonic clock together with the boot it belongs to:
boards have no clock to trust, and after a reboot no lease is left. Who does not say who they are is nobody: they hold
no lease, and they respect one.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Mapping, Optional

from edgewright.device import durable, reserve
from edgewright.device.release import Layout, ReleaseError

FOR_S = 600.0
LONGEST_S = 3600.0
LIMIT = 4096
"""Bytes of a lease; it comes from outside."""


class Leased(ReleaseError):
    """Somebody else is at work here; `holder` says who, without the token."""

    def __init__(self, holder: Mapping[str, Any], left_s: float) -> None:
        message = "%s is at work on this device (for %d s more, if not renewed)." % (holder.get("owner"), left_s + 1)
        super(Leased, self).__init__(message, "Wait, or break that lease with --take-over.")
        self.holder = {name: holder.get(name) for name in ("owner", "host", "process")}


def hold(layout: Layout, wish: Any) -> None:
    """Takes the lease for `wish` ({"owner", "token", "host", "process", "for_s"?, "take_over"?}), or renews it. Leased
    where another holds it. Called by one installer at a time."""
    held, asked = holder(layout), _checked(wish)
    same = held is not None and asked is not None and held["token"] == asked["token"]
    if held is not None and not same and not (asked and asked.get("take_over") is True):
        raise Leased(held, float(held["until"]) - time.monotonic())
    if asked is None:
        return
    length = min(max(1.0, float(asked.get("for_s") or FOR_S)), LONGEST_S)
    now = time.monotonic()
    record = {name: asked.get(name) for name in ("owner", "token", "host", "process")}
    record.update(boot=boot_id(), taken=now, until=now + length)
    reserve.write_json(layout, _path(layout), record)


def end(layout: Layout, wish: Any) -> None:
    """Gives the lease back, if it is theirs."""
    held, asked = holder(layout), _checked(wish)
    if held is not None and asked is not None and held["token"] == asked["token"]:
        durable.remove(_path(layout))


def holder(layout: Layout) -> Optional[Dict[str, Any]]:
    """The lease in force; None where there is none, it ran out, it is of another boot, or it makes no sense."""
    found = durable.read_json(_path(layout))
    if found is None or found.get("boot") != boot_id():
        return None
    taken, until = found.get("taken"), found.get("until")
    if not isinstance(taken, float) or not isinstance(until, float) or not isinstance(found.get("token"), str):
        return None
    # Without a boot id, a clock that is behind the time it was taken at tells of a reboot.
    return found if taken <= time.monotonic() < until <= taken + LONGEST_S else None


def boot_id() -> str:
    """The kernel's name for the time since it was started (random(4)); "" where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, ValueError):
        return ""


def _checked(wish: Any) -> Optional[Dict[str, Any]]:
    if wish is None:
        return None
    named = isinstance(wish, dict) and all(isinstance(wish.get(n), str) and wish[n] for n in ("owner", "token"))
    if not named or len(json.dumps(wish)) > LIMIT or not isinstance(wish.get("for_s") or 0.0, (int, float)):
        raise ReleaseError("The lease that is asked for makes no sense.", "Use the host's own command.")
    return dict(wish, owner=" ".join(str(wish["owner"]).split())[:200])


def _path(layout: Layout) -> str:
    return os.path.join(layout.root, "lease.json")
