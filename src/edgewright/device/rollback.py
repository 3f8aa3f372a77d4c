"""Back to `previous`, on the device alone: nothing is received, nothing is replayed, no host is asked. Its files are
compared with its manifest: it may have rested for a year on a card that rots. A full disk is no obstacle (reserve).

The same steps and the same journal as an installation, so that a kill leaves one whole release here too. What was
current becomes `previous`: a rollback can itself be rolled back.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Optional

from edgewright.device import managers, processes, reserve, whole
from edgewright.device.boot_counter import BootCounter
from edgewright.device.journal import Journal
from edgewright.device.recovery import give_up
from edgewright.device.release import Layout, Rejected, ReleaseError
from edgewright.device.serving import READY_S, Prober, Serving, healthy


def rollback(layout: Layout) -> Dict[str, Any]:
    """The release before as it serves: name, number, digest, url, pid, replaced, gap_ms. ReleaseError where there is
    none, or where it failed on this device itself; Rejected where it is damaged or does not start: then nothing has
    changed."""
    old, new = layout.linked(layout.current), layout.linked(layout.previous)
    if new is None or new == old:
        raise ReleaseError("There is no release before this one on the device.", "Deploy the one that you want.")
    damaged = whole.damaged(layout, new)
    if damaged:
        message = "The release before, %s, is damaged on this device: %s." % (new, whole.listed(damaged))
        raise Rejected(message, "Deploy the one that you want: what is damaged is sent again.")
    failed = BootCounter(layout).failed().get(new)
    if failed:
        raise ReleaseError("The release before, %s, failed on this device: %s." % (new, failed), "Deploy another one.")
    with reserve.spent(layout):
        return _rolled_back(layout, old, new)


def _rolled_back(layout: Layout, old: Optional[str], new: str) -> Dict[str, Any]:
    serving, journal = Serving(layout), Journal(layout.journal)
    was_running, own = serving.running(), layout.describe(new) or {}
    with contextlib.suppress(OSError):  # a full disk: another time
        journal.shorten()
    begun = {"old": old, "previous": new, "was_running": was_running, "rollback": True}
    by = processes.identity(os.getpid())
    journal.record("begun", release=new, number=own.get("number"), by=by, **begun)
    prober = Prober.of(serving)
    try:
        _switch(layout, serving, journal, new)
    except BaseException as error:
        give_up(layout, new, old, was_running, error, begun)
        raise
    if old:
        layout.point(layout.previous, old)
    journal.record("committed", release=new, number=own.get("number"))
    return dict(outcome(layout), replaced=old, gap_ms=prober.gap_ms() if prober else None)


def outcome(layout: Layout) -> Dict[str, Any]:
    """What is current and what was before, as `rollback` answers."""
    serving, name = Serving(layout), layout.linked(layout.current)
    own, state = layout.describe(name) or {}, serving.state()
    return {
        "name": name,
        "number": own.get("number"),
        "digest": own.get("digest"),
        "url": serving.url(),
        "pid": (state.get("agent") or {}).get("pid"),
        "replaced": layout.linked(layout.previous),
        "gap_ms": None,
    }


def _switch(layout: Layout, serving: Serving, journal: Journal, new: str) -> None:
    serve = (layout.describe(new) or {}).get("serve") or {}
    journal.record("managed", release=new, manager=managers.adopt(layout, serve))
    journal.record("switching", release=new)
    layout.point(layout.current, new)
    journal.record("switched", release=new)
    said = serving.follow(READY_S)
    if said:
        raise Rejected("The release before does not start: %s." % said.rstrip("."), "See run/agent.log on the device.")
    journal.record("started", release=new)
    if not healthy(serving, new):
        raise Rejected("The release before does not answer /healthz.", "See run/agent.log on the device.")
    journal.record("healthy", release=new)
