"""Readings and incidents of the services that were watched, in SQLite.

Write-ahead logging, so that a reader never waits for the watcher; a reading is known by (target, boot,
seq), so that what was fetched twice is kept once. The schema grows by numbered migrations.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from edgewright.core.record import canonical
from edgewright.core.verdict import Incident, Reading
from edgewright.store.cache import disk_errors
from edgewright.store.database import Database

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


class Telemetry(Database):
    """`with Telemetry(path) as telemetry: …`. DeviceError where the file is no telemetry of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, MIGRATIONS, keep="normal", remedy="Move it away; a new one is made.")

    def add(self, target: str, release: str, readings: Iterable[Reading]) -> list[Reading]:
        """Keeps the readings and gives back those that were new, in order."""
        new, now = [], time.time()
        with self._committed():
            for r in readings:
                row = (target, r.boot, r.seq, release, r.wall, now, r.count, r.errors, r.p95, canonical(r).decode())
                cursor = self._base.execute("insert or ignore into reading values (?,?,?,?,?,?,?,?,?,?)", row)
                new += [r] if cursor.rowcount else []
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
