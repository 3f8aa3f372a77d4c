"""Readings and incidents of the services that were watched, in SQLite.

Write-ahead logging, so that a reader never waits for the watcher; a reading is known by (target, boot,
seq), so that what was fetched twice is kept once. The schema grows by numbered migrations.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from edgewright.core.errors import DeviceError
from edgewright.core.record import canonical
from edgewright.core.verdict import Incident, Reading
from edgewright.store.cache import disk_errors

MIGRATIONS = (
    # m001: readings, incidents
    """
    create table reading (
        target text not null, boot text not null, seq integer not null, release text not null,
        wall real not null, received real not null, count integer not null, errors integer not null,
        p95 real not null, body text not null, primary key (target, boot, seq)
    ) without rowid;
    create index reading_time on reading (target, received);
    create table incident (
        target text not null, release text not null, promise text not null, first_seq integer not null,
        received real not null, body text not null, primary key (target, release, promise, first_seq)
    ) without rowid;
    """,
)


class Telemetry:
    """`with Telemetry(path) as telemetry: …`. DeviceError where the file is no telemetry of ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._base = sqlite3.connect(path, timeout=30, isolation_level=None)
                self._base.execute("pragma journal_mode = wal")
                self._base.execute("pragma synchronous = normal")
                self._migrate()
            except sqlite3.DatabaseError as error:
                raise DeviceError(f"{path} cannot be used: {error}.", "Move it away; a new one is made.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._base.close()

    def add(self, target: str, release: str, readings: Iterable[Reading]) -> list[Reading]:
        """Keeps the readings and gives back those that were new, in order."""
        new, now = [], time.time()
        with disk_errors(self.path):
            self._base.execute("begin immediate")
            try:
                for r in readings:
                    row = (target, r.boot, r.seq, release, r.wall, now, r.count, r.errors, r.p95, canonical(r).decode())
                    cursor = self._base.execute("insert or ignore into reading values (?,?,?,?,?,?,?,?,?,?)", row)
                    new += [r] if cursor.rowcount else []
                self._base.execute("commit")
            except BaseException:
                self._base.execute("rollback")
                raise
        return new

    def last_seq(self, target: str) -> int:
        """The number of the reading received last; 0 where there is none."""
        query = "select seq from reading where target = ? order by received desc, seq desc limit 1"
        row = self._base.execute(query, (target,)).fetchone()
        return int(row[0]) if row else 0

    def readings(self, target: str, *, release: str | None = None, limit: int = 10000) -> list[Reading]:
        """The newest `limit` readings, oldest first, of one release or of all."""
        query = (
            "select body from reading where target = ? and (? is null or release = ?) "
            "order by received desc, seq desc limit ?"
        )
        rows = self._base.execute(query, (target, release, release, limit)).fetchall()
        return [Reading.from_json(json.loads(body)) for (body,) in reversed(rows)]

    def add_incident(self, target: str, incident: Incident) -> bool:
        """Keeps an incident; False where it was known."""
        i = incident
        row = (target, i.release, i.promise, i.first_seq, time.time(), canonical(i).decode())
        with disk_errors(self.path):
            return self._base.execute("insert or ignore into incident values (?,?,?,?,?,?)", row).rowcount > 0

    def incidents(self, target: str, release: str | None = None) -> list[Incident]:
        """Incidents of a target, oldest first, of one release or of all."""
        query = "select body from incident where target = ? and (? is null or release = ?) order by received, first_seq"
        rows = self._base.execute(query, (target, release, release)).fetchall()
        return [Incident.from_json(json.loads(body)) for (body,) in rows]

    def prune(self, keep_s: float) -> int:
        """Drops readings received more than `keep_s` seconds ago; how many."""
        with disk_errors(self.path):
            return self._base.execute("delete from reading where received < ?", (time.time() - keep_s,)).rowcount

    def _migrate(self) -> None:
        done = int(self._base.execute("pragma user_version").fetchone()[0])
        if done > len(MIGRATIONS):
            raise DeviceError(f"{self.path} was written by a newer Edgewright.", "Use that one, or move the file away.")
        for number, script in enumerate(MIGRATIONS[done:], done + 1):
            self._base.executescript(f"begin immediate; {script}; pragma user_version = {number}; commit;")
