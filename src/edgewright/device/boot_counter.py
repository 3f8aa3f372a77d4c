"""The boot counter: how often `current` was started without lasting, and the way back where it never does.

boots.json   {"tries": {release: starts that did not last}, "failed": {release: reason}, "reverting"?, "reverted"?}

A start is counted before it is made, so that a release which takes the whole board down with it is counted too; it is
forgotten once the release has lasted. `tries` starts in a row without lasting bring `previous` back, with no host and
no network. A release that failed so is not gone back to again: two that fail never take turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional

from edgewright.device import durable, reserve, whole
from edgewright.device.journal import Journal
from edgewright.device.release import Layout

TRIES = 3
"""Starts in a row that may fail, where the release does not say (`serve.tries`)."""
KEPT = 20
"""Releases that are remembered as failed."""


class BootCounter(object):
    def __init__(self, layout: Layout) -> None:
        self._layout, self._path = layout, os.path.join(layout.root, "boots.json")

    def starting(self, name: str) -> None:
        """One more start, on the disk before it is made."""
        self._count(name, self.tries(name) + 1)

    def forgive(self, name: str) -> None:
        """The release was ended on request: its last start is not held against it."""
        self._count(name, max(0, self.tries(name) - 1))

    def lasted(self, name: str) -> None:
        """The release has started well, or somebody wants it in spite of all: its starts are forgotten."""
        known = self._read()
        if known["tries"].get(name) or name in known["failed"]:
            known["tries"].pop(name, None)
            known["failed"].pop(name, None)
            self._write(known)

    def tries(self, name: str) -> int:
        """Starts in a row that have not lasted."""
        return int(self._read()["tries"].get(name, 0))

    def exhausted(self, name: str) -> bool:
        """Whether the release has used up its starts."""
        serve = (self._layout.describe(name) or {}).get("serve") or {}
        return self.tries(name) >= max(1, int(serve.get("tries") or TRIES))

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

    def _count(self, name: str, tries: int) -> None:
        known = self._read()
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
