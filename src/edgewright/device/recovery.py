"""After an operation: back to one whole release where it was cut or has failed, and without what no release needs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from edgewright.device import durable, mishaps, reserve, trust, wheels
from edgewright.device.boot_counter import BootCounter
from edgewright.device.journal import Journal
from edgewright.device.release import Layout, ReleaseError, parse_manifest
from edgewright.device.serving import READY_S, Serving

STALE_S = 3600.0
"""A temporary file that was not written to for so long is nobody's."""


def recover(layout: Layout) -> str:
    """Ends an operation that was cut; what it was and what became of it, "" where there was none."""
    serving, journal = Serving(layout), Journal(layout.journal)
    _clear_up(layout)
    if BootCounter(layout).finish() and serving.running():
        serving.follow(READY_S)
    records = journal.open_installation()
    if records is None:
        return ""
    with reserve.spent(layout):
        _end(layout, journal, records)
    return mishaps.sentence(mishaps.last(journal.read()) or {})


def _end(layout: Layout, journal: Journal, records: List[Dict[str, Any]]) -> None:
    begun, verdict = records[0], _verdict(records)
    new, old = begun.get("release"), begun.get("old")
    if not _is_name(new) or "old" not in begun or not (old is None or _is_name(old)):
        # Rot, for every line was whole when it was written. `current` has only ever named whole releases.
        kept = _keep_what_serves(layout)
        journal.record("refused", release=kept, reason="the journal was damaged; what serves is kept")
    elif not verdict and layout.linked(layout.current) == new and Serving(layout).serves(str(new)):
        if old:
            layout.point(layout.previous, old)
        trust.raise_number(layout, (layout.describe(str(new)) or {}).get("signed"))
        journal.record("committed", release=new, number=begun.get("number"), recovered=True)
        collect(layout)
    else:
        stopped = any(record["step"] == "stopped" for record in records)
        was_running = begun.get("was_running") is not False and not stopped  # a name that has rotted ends no service
        undo(layout, str(new), old, was_running, verdict or mishaps.INTERRUPTED, begun)


def _verdict(records: List[Dict[str, Any]]) -> str:
    """Why the new release was given up, if it had come to that."""
    found = [str(record.get("reason") or "it failed") for record in records if record.get("step") == "condemned"]
    return found[-1] if found else ""


def give_up(
    layout: Layout, new: str, old: Optional[str], was_running: bool, error: BaseException, begun: Mapping[str, Any]
) -> None:
    """Undoes an operation that has failed. The verdict is on the disk first: cut from here on, `new` is not taken for
    well because it answers. Where the release before does not start either, `error` says that too."""
    reason = str(getattr(error, "message", None) or error or type(error).__name__)[:1000]
    with contextlib.suppress(OSError):  # a full disk
        Journal(layout.journal).record("condemned", release=new, reason=reason)
    said = undo(layout, new, old, was_running, reason, begun)
    if said and old and isinstance(error, ReleaseError):
        error.message += " And %s, which is current again, does not start: %s." % (old, said.rstrip("."))


def keep(layout: Layout, name: str) -> bool:
    """Ends an operation that was cut for the release that serves, where that is the one before: it is made current. For
    the supervisor of a device that nobody comes to; whether there was such an operation. Under the installer's lock."""
    journal = Journal(layout.journal)
    records = journal.open_installation() or [{}]
    begun, new = records[0], layout.linked(layout.current)
    if begun.get("old") != name or begun.get("release") != new or not _is_name(name):
        return False
    with reserve.spent(layout):
        _point_back(layout, str(new), name, begun)
        journal.record("rolled back", release=new, reason=_verdict(records) or mishaps.INTERRUPTED)
    return True


def _keep_what_serves(layout: Layout) -> Optional[str]:
    """Makes current what answers now, where something does; the release that is current then."""
    serving = Serving(layout)
    name, current = serving.state().get("release"), layout.linked(layout.current)
    if not _is_name(name) or name == current or not serving.serves(str(name)):
        return current
    layout.point(layout.current, str(name))
    serving.follow(READY_S)  # the supervisor may have been told of the other one already
    return str(name)


def undo(layout: Layout, new: str, old: Optional[str], was_running: bool, reason: str, begun: Mapping[str, Any]) -> str:
    """Back to the release before, serving if it was; "" or why that one does not start. Its journal entry comes last:
    cut here, it is done again. `begun` says what `previous` named: cut just before the commit, it names the old release
    already."""
    serving, said = Serving(layout), ""
    switched = _point_back(layout, new, old, begun)
    # Cut here before, `current` is right already: what serves is asked, and what it is about to do.
    records = Journal(layout.journal).open_installation() or []
    told = any(record["step"] == "switching" for record in records)  # perhaps
    right = old is not None and serving.settled() and serving.serves(old)
    if was_running and (old or serving.running()):
        paused = (durable.read_json(layout.control) or {}).get("paused")
        if switched or paused or not right:
            said = serving.follow(READY_S)
    elif switched or (told and serving.running() and not right):
        serving.stop()
    if new not in (layout.linked(layout.current), layout.linked(layout.previous)):  # a rollback goes to `previous`
        shutil.rmtree(layout.folder(new), ignore_errors=True)
    facts = {"fails": said} if said else {}
    Journal(layout.journal).record("rolled back" if switched else "refused", release=new, reason=reason, **facts)
    return said


def _point_back(layout: Layout, new: str, old: Optional[str], begun: Mapping[str, Any]) -> bool:
    """`current` and `previous` name what they did when the operation began; whether `current` did not."""
    switched = layout.linked(layout.current) == new
    if switched:
        layout.point(layout.current, old)
    before = begun.get("previous", old)
    if old and layout.linked(layout.previous) == old != before and (before is None or _is_name(before)):
        layout.point(layout.previous, before)
    return switched


def collect(layout: Layout) -> None:
    """Removes releases that are neither current nor previous nor named by an installation that is not over, and blobs
    that none of them names."""
    kept = {str(name) for name in _named(layout) if name and os.path.isdir(layout.folder(str(name)))}
    used: Set[str] = set()
    for name in kept:
        digest = str((layout.describe(name) or {}).get("digest"))
        try:
            with open(layout.blob(digest), "rb") as file:
                used |= {digest, *parse_manifest(file.read()).sizes()}
        except (OSError, ReleaseError):
            return  # what is not understood is not cleared up
    for name in os.listdir(layout.releases):
        if name not in kept:
            shutil.rmtree(layout.folder(name), ignore_errors=True)
    wheels.collect(layout, [layout.describe(name) or {} for name in kept])
    for digest in set(os.listdir(layout.blobs)) - used:
        durable.remove(os.path.join(layout.blobs, digest))
    for name in os.listdir(layout.incoming):
        durable.remove(os.path.join(layout.incoming, name))


def _named(layout: Layout) -> Tuple[Any, ...]:
    """The releases that the device still needs; those of an operation that is not over, too."""
    opened = (Journal(layout.journal).open_installation() or [{}])[0]
    links = layout.linked(layout.current), layout.linked(layout.previous)
    return (*links, *(opened.get(key) for key in ("release", "old", "previous")))


def _clear_up(layout: Layout) -> None:
    """What others were killed at: half releases, those that had been replaced, half files. The latter may be somebody's
    at this very moment: the supervisor needs no lock for its own."""
    serves = Serving(layout).state().get("release")
    kept = {*_named(layout), serves} if layout.linked(layout.current) else None
    for name in os.listdir(layout.releases):
        if name.startswith(".making-") or (kept is not None and _is_name(name) and name not in kept):
            shutil.rmtree(layout.folder(name), ignore_errors=True)
    for folder in (layout.root, layout.run):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                if entry.name.startswith(".writing-") and abs(time.time() - entry.stat().st_mtime) > STALE_S:
                    durable.remove(entry.path)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"\d+-[0-9a-f]{12}", name) is not None
