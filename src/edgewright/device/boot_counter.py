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
import copy
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
TURN_S = 2.0
"""How long somebody waits for another who changes boots.json."""


class BootCounter(object):
    def __init__(self, layout: Layout) -> None:
        self._layout, self._path = layout, os.path.join(layout.root, "boots.json")

    def starting(self, name: str) -> None:
        """One more start, on the disk before it is made."""
        self._count(name, 1)

    def forgive(self, name: str) -> None:
        """The release is ended on request: neither its last start nor its end is held against it."""
        self._count(name, -1)

    def lasted(self, name: str) -> None:
        """The release has started well: its starts are forgotten, and a decision to go back from it that could not be
        carried out is. From now on an end is one that nobody asked for, unless `forgive` says otherwise before it."""
        with self._changing() as known:
            known["tries"].pop(name, None)
            known["failed"].pop(name, None)
            _stay(known, name)
            known["lasting"] = {"release": name, "boot": boot_id()}

    def ended(self, name: str) -> None:
        """The release, which had lasted, has ended by itself."""
        with self._changing() as known:
            known.pop("lasting", None)
            known["ends"] = {"release": name, "boot": boot_id(), "at": [*self._ends(known, name), time.monotonic()]}

    def lost(self, name: str) -> None:
        """A supervisor begins. Where the release had lasted in this very boot and nobody has asked for its end, it has
        ended together with the supervisor before: that one was killed, perhaps for the same memory."""
        lasting, boot = self._read().get("lasting"), boot_id()
        if boot and lasting == {"release": name, "boot": boot}:
            self.ended(name)

    def wanted(self, name: str) -> None:
        """Somebody wants the release in spite of all: its past is forgotten."""
        with self._changing() as known:
            known["tries"].pop(name, None)
            known["failed"].pop(name, None)
            known.pop("ends", None)
            _stay(known, name)

    def tries(self, name: str) -> int:
        """Starts in a row that have not lasted."""
        found = self._read()["tries"].get(name)
        return found if isinstance(found, int) else 0

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
        cut = self._cut(name)
        before = self._layout.here(cut.get("old") if cut else self._layout.linked(self._layout.previous))
        return before if before != name and before not in self._read()["failed"] else None

    def note(self, name: str, reason: str) -> None:
        """Remembers that a release failed here."""
        with self._changing() as known:
            known["failed"] = dict(list(known["failed"].items())[-KEPT:], **{name: reason[:300]})

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
            decided = {"from": name, "to": back, "reason": reason[:300], "wall": time.time()}
            decided.update(self._predecessor(name, back))
            with self._changing() as known:
                known["reverting"] = decided
            self.finish()
            return back

    def finish(self) -> bool:
        """What `revert` has decided, done; whether there was anything to do. Every part of it may be done twice. Called
        with the installer's lock."""
        decided = self._read().get("reverting")
        if not decided:
            return False
        stands = self._stands(decided)
        with reserve.spent(self._layout):
            if stands:
                self._go(decided)
            with self._changing() as known:
                known.pop("reverting", None)
                if stands:
                    known["reverted"] = decided
        return stands

    def _cut(self, name: str) -> Optional[Dict[str, Any]]:
        """How the installation of the release began, if it has not come to an end."""
        opened = Journal(self._layout.journal).open_installation()
        return opened[0] if opened and opened[0].get("release") == name else None

    def _predecessor(self, name: str, back: str) -> Dict[str, Any]:
        """What `previous` is to name, when `back` is current again: what it named before an installation that was cut,
        though that may have been about to commit; else the release that failed."""
        cut = self._cut(name) or {}
        if "previous" in cut and (cut["previous"] is None or self._layout.here(cut["previous"])):
            return {"previous": cut["previous"]}
        return {"swap": back == self._layout.linked(self._layout.previous)}

    def _stands(self, decided: Mapping[str, Any]) -> bool:
        """Whether the decision still makes sense: nobody has made a third release current, and there is a way back."""
        bad, back = decided.get("from"), self._layout.here(decided.get("to"))
        return back is not None and self._layout.linked(self._layout.current) in (bad, back)

    def _go(self, decided: Mapping[str, Any]) -> None:
        layout, bad, back = self._layout, str(decided["from"]), str(decided["to"])
        if layout.linked(layout.current) == bad:
            layout.point(layout.current, back)
        Journal(layout.journal).record("reverted", release=bad, to=back, reason=str(decided.get("reason")))
        if "previous" in decided:
            before = layout.here(decided["previous"])
            if layout.linked(layout.previous) != before:
                layout.point(layout.previous, before)
        elif decided.get("swap") and layout.here(bad):
            layout.point(layout.previous, bad)

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
        for part in ("reverting", "reverted"):
            if not isinstance(found.get(part, {}), dict):
                del found[part]
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

    def _count(self, name: str, more: int) -> None:
        """A start or an end on request: whatever ran before, runs no more."""
        with self._changing() as known:
            known.pop("lasting", None)
            known["tries"] = {name: max(0, int(known["tries"].get(name, 0)) + more)}

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Dict[str, Any]]:
        """What is known, and on the disk afterwards what the caller has made of it."""
        with _turn(self._layout):
            known = self._read()
            before = copy.deepcopy(known)
            yield known
            if known != before:
                self._write(known)

    def _write(self, known: Dict[str, Any]) -> None:
        reserve.write_json(self._layout, self._path, known)


def _stay(known: Dict[str, Any], name: str) -> None:
    """Drops a decision to go back from the release."""
    if known.get("reverting", {}).get("from") == name:
        del known["reverting"]


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[bool]:
    """Whether no installer is at work on the device folder; if so, none begins meanwhile."""
    with open(os.path.join(layout.root, "install.lock"), "ab", opener=durable.without_creating) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _turn(layout: Layout) -> Iterator[None]:
    """The supervisor and an installer change boots.json by turns. The folder itself is locked: root and the service's
    own user both may, and a full disk has room for it. Who waits too long goes on without: a counter that may be wrong
    by one is no reason to stand still."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            folder = os.open(layout.run, os.O_RDONLY)
            held.callback(os.close, folder)
            deadline = time.monotonic() + TURN_S
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.01)
        yield
