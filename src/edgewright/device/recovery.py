"""After an operation: back to one whole release where it was cut or has failed, and without what no release needs."""

from __future__ import annotations

import os
import re
import shutil
from typing import Any, Dict, List, Mapping, Optional, Set

from edgewright.device import durable, mishaps, reserve, trust, wheels
from edgewright.device.boot_counter import BootCounter
from edgewright.device.journal import Journal
from edgewright.device.release import Layout, ReleaseError, parse_manifest
from edgewright.device.serving import READY_S, Serving


def recover(layout: Layout) -> str:
    """Ends an operation that was cut; what it was and what became of it, "" where there was none."""
    BootCounter(layout).finish()
    journal = Journal(layout.journal)
    records = journal.open_installation()
    for name in os.listdir(layout.releases):
        if name.startswith(".making-"):
            shutil.rmtree(layout.folder(name), ignore_errors=True)
    if records is None:
        return ""
    with reserve.spent(layout):
        _end(layout, journal, records)
    return mishaps.sentence(mishaps.last(journal.read()) or {})


def _end(layout: Layout, journal: Journal, records: List[Dict[str, Any]]) -> None:
    begun = records[0]
    new, old = begun.get("release"), begun.get("old")
    if not _is_name(new) or "old" not in begun or not (old is None or _is_name(old)):
        # Rot, for every line was whole when it was written. `current` has only ever named whole releases.
        kept = _keep_what_serves(layout)
        journal.record("refused", release=kept, reason="the journal was damaged; what serves is kept")
    elif layout.linked(layout.current) == new and Serving(layout).serves(str(new)):
        if old:
            layout.point(layout.previous, old)
        trust.raise_number(layout, (layout.describe(str(new)) or {}).get("signed"))
        journal.record("committed", release=new, number=begun.get("number"), recovered=True)
        collect(layout)
    else:
        was_running = begun.get("was_running") is not False  # a name that has rotted ends no service
        undo(layout, str(new), old, was_running, mishaps.INTERRUPTED, begun)


def _keep_what_serves(layout: Layout) -> Optional[str]:
    """Makes current what answers now, where something does; the release that is current then."""
    serving = Serving(layout)
    name, current = serving.state().get("release"), layout.linked(layout.current)
    if not _is_name(name) or name == current or not serving.serves(str(name)):
        return current
    layout.point(layout.current, str(name))
    serving.follow(READY_S)  # the supervisor may have been told of the other one already
    return str(name)


def undo(
    layout: Layout,
    new: str,
    old: Optional[str],
    was_running: bool,
    reason: str,
    begun: Optional[Mapping[str, Any]] = None,
) -> None:
    """Back to the release before, serving if it was. Its journal entry comes last: cut here, it is done again. `begun`
    says what `previous` named: cut just before the commit, it names the old release already."""
    serving = Serving(layout)
    switched = layout.linked(layout.current) == new
    if switched:
        layout.point(layout.current, old)
    before = (begun or {}).get("previous", old)
    if old and layout.linked(layout.previous) == old != before and (before is None or _is_name(before)):
        layout.point(layout.previous, before)
    if old and was_running:
        paused = (durable.read_json(layout.control) or {}).get("paused")
        if switched or paused or not (serving.settled() and serving.serves(old)):
            serving.follow(READY_S)
    elif switched:
        serving.stop()
    Journal(layout.journal).record("rolled back" if switched else "refused", release=new, reason=reason)
    if new not in (layout.linked(layout.current), layout.linked(layout.previous)):  # a rollback goes to `previous`
        shutil.rmtree(layout.folder(new), ignore_errors=True)


def collect(layout: Layout) -> None:
    """Removes releases that are neither current nor previous nor named by an installation that is not over, and blobs
    that none of them names."""
    opened = (Journal(layout.journal).open_installation() or [{}])[0]
    named = (layout.linked(layout.current), layout.linked(layout.previous), opened.get("release"), opened.get("old"))
    kept = {str(name) for name in named if name and os.path.isdir(layout.folder(str(name)))}
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


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"\d+-[0-9a-f]{12}", name) is not None
