"""The boot counter: how often `current` was started without lasting, and the way back where it never does.

boots.json   {"tries": {release: starts that did not last}, "failed": {release: reason}, "reverting"?, "reverted"?,
              "lasting"?: {"release", "boot"}, "ends"?: {"release", "boot", "at": [seconds of the monotonic clock]}}

A start is counted before it is made, so that a release which takes the whole board down with it is counted too; it is
forgotten once the release has lasted. `tries` starts in a row without lasting bring `previous` back, with no host and
no network. So do more than ENDS ends within ENDS_S of a release that had lasted each time: a leak, or a crash that
takes its time. A release that failed so is not gone back to again: two that fail never take turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional

from edgewright.device import durable, reserve, whole
from edgewright.device.journal import Journal
from edgewright.device.lease import boot_id
from edgewright.device.release import Layout

TRIES = 3
"""Starts in a row that may fail, where the release does not say (`serve.tries`)."""
ENDS, ENDS_S = 3, 600.0
"""Ends of a release that had lasted which are borne within so many seconds; as many as `serve.tries`, if that is more.
Seconds of the monotonic clock within one boot: boards have no other to trust."""
KEPT = 20
"""Releases that are remembered as failed."""


class BootCounter(object):
    def __init__(self, layout: Layout) -> None:
        self._layout, self._path = layout, os.path.join(layout.root, "boots.json")

    def starting(self, name: str) -> None:
        """One more start, on the disk before it is made."""
        self._count(name, self.tries(name) + 1)

    def forgive(self, name: str) -> None:
        """The release is ended on request: neither its last start nor its end is held against it."""
        self._count(name, max(0, self.tries(name) - 1))

    def lasted(self, name: str) -> None:
        """The release has started well: its starts are forgotten. From now on an end is one that nobody asked for,
        unless `forgive` says otherwise before it."""
        known = self._read()
        known["tries"].pop(name, None)
        known["failed"].pop(name, None)
        known["lasting"] = {"release": name, "boot": boot_id()}
        self._write(known)

    def ended(self, name: str) -> None:
        """The release, which had lasted, has ended by itself."""
        known = self._read()
        known.pop("lasting", None)
        known["ends"] = {"release": name, "boot": boot_id(), "at": [*self._ends(known, name), time.monotonic()]}
        self._write(known)

    def lost(self, name: str) -> None:
        """A supervisor begins. Where the release had lasted in this very boot and nobody has asked for its end, it has
        ended together with the supervisor before: that one was killed, perhaps for the same memory."""
        lasting, boot = self._read().get("lasting"), boot_id()
        if boot and lasting == {"release": name, "boot": boot}:
            self.ended(name)

    def wanted(self, name: str) -> None:
        """Somebody wants the release in spite of all: its past is forgotten."""
        known = self._read()
        past = [known["tries"].pop(name, None), known["failed"].pop(name, None), known.pop("ends", None)]
        if any(past):
            self._write(known)

    def tries(self, name: str) -> int:
        """Starts in a row that have not lasted."""
        return int(self._read()["tries"].get(name, 0))

    def used_up(self, name: str, reason: str) -> str:
        """Why the release is not to be started again, `reason` being that of the last time; "" where it may be."""
        serve = (self._layout.describe(name) or {}).get("serve") or {}
        allowed, tries = max(1, int(serve.get("tries") or TRIES)), self.tries(name)
        ends = self._ends(self._read(), name)
        if tries >= allowed:
            return "%d starts of %s failed, the last because %s" % (tries, name, reason)
        if len(ends) > max(allowed, ENDS):
            span = max(1.0, time.monotonic() - ends[0])
            said = (name, len(ends), span, reason)
            return "%s ended %d times in %.0f s after having started, the last time because %s" % said
        return ""

    def way_back(self, name: str) -> Optional[str]:
        """The release to go back to from `name`; None where there is none that has not failed itself. That of an
        installation which was cut comes before `previous`: it served until then."""
        opened = Journal(self._layout.journal).open_installation()
        cut = opened is not None and opened[0].get("release") == name
        before = opened[0].get("old") if opened and cut else self._layout.linked(self._layout.previous)
        there = isinstance(before, str) and os.path.isdir(self._layout.folder(before))
        return str(before) if there and before != name and before not in self._read()["failed"] else None

    def note(self, name: str, reason: str) -> None:
        """Remembers that a release failed here."""
        known = self._read()
        known["failed"] = dict(list(known["failed"].items())[-KEPT:], **{name: reason[:300]})
        self._write(known)

    def failed(self) -> Dict[str, str]:
        """Why each release failed that did."""
        return dict(self._read()["failed"])

    def revert(self, name: str, reason: str) -> Optional[str]:
        """Makes the release before `name` current; its name, None where there is none or an installer is at work (it
        decides then). Cut anywhere, `finish` does the rest."""
        with alone(self._layout) as free:
            if not free or self._layout.linked(self._layout.current) != name:
                return None
            back = self.way_back(name)
            if back is None:
                return None
            damaged = [path for path in whole.damaged(self._layout, back) if path != whole.MANIFEST]
            if damaged:  # remembered, so that its files are not all read again at every try
                self.note(back, "it is damaged on this device (%s)" % whole.listed(damaged))
                return None
            self.note(name, reason)
            known = self._read()
            known["reverting"] = {"from": name, "to": back, "reason": reason[:300], "wall": time.time()}
            # What an installation that was cut would have replaced is still `current` to everybody: `previous` stays.
            known["reverting"]["swap"] = back == self._layout.linked(self._layout.previous)
            self._write(known)
            self.finish()
            return back

    def finish(self) -> None:
        """What `revert` has decided, done; every part of it may be done twice."""
        known = self._read()
        decided = known.get("reverting")
        if not decided:
            return
        with reserve.spent(self._layout):
            self._go(known, decided)

    def _go(self, known: Dict[str, Any], decided: Mapping[str, Any]) -> None:
        layout, bad, back = self._layout, str(decided["from"]), str(decided["to"])
        if layout.linked(layout.current) == bad:
            layout.point(layout.current, back)
        Journal(layout.journal).record("reverted", release=bad, to=back, reason=decided["reason"])
        if decided.get("swap") and os.path.isdir(layout.folder(bad)):
            layout.point(layout.previous, bad)
        known["reverted"] = known.pop("reverting")
        self._write(known)

    def reverted(self) -> Optional[Dict[str, Any]]:
        """{"from", "to", "reason", "wall"} of the last time the device went back by itself, as long as that holds."""
        known = self._read()
        found = known.get("reverting") or known.get("reverted")
        same = found and self._layout.linked(self._layout.current) in (found.get("to"), found.get("from"))
        return dict(found) if found and same else None

    def _read(self) -> Dict[str, Any]:
        """A damaged file is as good as none: the counting begins anew, and nothing is gone back to because of it."""
        found = durable.read_json(self._path) or {}
        for part in ("tries", "failed"):
            if not isinstance(found.get(part), dict):
                found[part] = {}
        return found

    @staticmethod
    def _ends(known: Dict[str, Any], name: str) -> List[float]:
        """When the release ended after having lasted, the oldest first: in this boot, and not too long ago."""
        found = known.get("ends")
        if not isinstance(found, dict) or (found.get("release"), found.get("boot")) != (name, boot_id()):
            return []
        at, now = found.get("at"), time.monotonic()
        times = at if isinstance(at, list) else []
        return sorted(end for end in times if isinstance(end, float) and 0 <= now - end <= ENDS_S)

    def _count(self, name: str, tries: int) -> None:
        """A start or an end on request: whatever ran before, runs no more."""
        known = self._read()
        known.pop("lasting", None)
        known["tries"] = {name: tries}
        self._write(known)

    def _write(self, known: Dict[str, Any]) -> None:
        reserve.write_json(self._layout, self._path, known)


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[bool]:
    """Whether no installer is at work on the device folder; if so, none begins meanwhile."""
    with open(os.path.join(layout.root, "install.lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
