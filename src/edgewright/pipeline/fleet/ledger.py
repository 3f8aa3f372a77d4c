"""The ledger of a fleet: every rollout, and how each device of it stands, in SQLite.

Every change of a device is committed before the act that it names and again after it, with the disk asked to keep it
(WAL, synchronous = full). So a hub that is killed at any moment finds what it had begun; what became of it, the device
itself is asked. One hub at a time: `hub` is a lock that the kernel frees when its owner dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.record import Record, plain
from edgewright.pipeline.fleet.rollout import ASKED, FAILED, LIVE, OFFLINE, SENDING, WAITING, Member, Wave
from edgewright.store.cache import disk_errors
from edgewright.store.database import Database

RUNNING, PAUSED, COMPLETE, INCOMPLETE, ABORTED, SUPERSEDED = (
    "running", "paused", "complete", "incomplete", "aborted", "superseded",
)  # fmt: skip
UNFINISHED = (RUNNING, PAUSED, INCOMPLETE)

MIGRATIONS = (
    # m001: rollouts, their waves and members, and all that happened
    """
    create table rollout (
        id integer primary key autoincrement, release text not null, state text not null, reason text not null,
        wanted text not null, paused_at integer not null, created real not null, changed real not null
    );
    create table wave (
        rollout integer not null, position integer not null, body text not null, primary key (rollout, position)
    ) without rowid;
    create table member (
        rollout integer not null, device text not null, target text not null, place text not null,
        position integer not null, wave integer not null, state text not null, body text not null,
        changed real not null, primary key (rollout, device)
    ) without rowid;
    create table event (
        seq integer primary key autoincrement, rollout integer not null, wall real not null, device text not null,
        what text not null, body text not null
    );
    create index event_of on event (rollout, device);
    """,
)


@dataclass(frozen=True)
class Told(Record):
    """What a device's last act gave. `release` is the digest that it was to get, `p95_ms` measured on the device, and
    `times` that as a multiple of the predicted one; `simulated` says that a stand-in for its chip gave them."""

    release: str = ""
    detail: str = ""
    attempts: int = 0
    number: int = 0
    url: str = ""
    replaced: str = ""
    unchanged: bool = False
    p95_ms: float | None = None
    times: float | None = None
    gap_ms: float | None = None
    sent_bytes: int = 0
    seconds: float = 0.0
    kept: bool = False
    simulated: bool = False


@dataclass(frozen=True)
class Row(Record):
    """A device of a rollout. `place` identifies what stands at its address: another one there begins anew. `since` is
    the wall time of its state."""

    device: str
    target: str
    place: str
    wave: int
    state: str = WAITING
    told: Told = field(default_factory=Told)
    since: float = 0.0

    def member(self) -> Member:
        return Member(self.device, self.wave, self.state, self.told.times, self.told.kept, self.since)


@dataclass(frozen=True)
class Rollout(Record):
    """One rollout. `release` is a digest of all that it sends; `wanted` is "", "pause" or "abort"; `paused_at` is the
    wave that did not do, -1 for none."""

    id: int
    release: str
    state: str
    reason: str
    wanted: str
    paused_at: int
    created: float


class Ledger(Database):
    """`with Ledger(path) as ledger: …`. DeviceError where the file is no ledger of ours, or the disk is full."""

    def __init__(self, path: Path) -> None:
        remedy = "It is a fleet's ledger: move it away, and the next deploy asks every device what it serves."
        super().__init__(path, MIGRATIONS, keep="full", remedy=remedy)

    @contextlib.contextmanager
    def hub(self) -> Iterator[None]:
        """Keeps a second hub out. InputError where one is at work."""
        with disk_errors(self.path):
            lock = self.path.with_suffix(".lock").open("ab")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    "This fleet is being worked on by another process.",
                    "Wait for it, or ask it to stop with `edgewright deploy --pause` or `--abort`.",
                ) from None
            yield

    def newest(self) -> Rollout | None:
        found = self._base.execute("select max(id) from rollout").fetchone()[0]
        return self.rollout(found) if found is not None else None

    def rollout(self, number: int) -> Rollout:
        """The rollout of that number, which is there."""
        query = "select id, release, state, reason, wanted, paused_at, created from rollout where id = ?"
        return Rollout(*self._base.execute(query, (number,)).fetchone())

    def begin(self, release: str, waves: Sequence[Wave], rows: Sequence[Row]) -> Rollout:
        """A new rollout; one that was not finished is superseded by it."""
        now = time.time()
        with self._committed():
            for state in UNFINISHED:
                self._base.execute("update rollout set state = ? where state = ?", (SUPERSEDED, state))
            cursor = self._base.execute(
                "insert into rollout (release, state, reason, wanted, paused_at, created, changed) "
                "values (?, ?, '', '', -1, ?, ?)",
                (release, RUNNING, now, now),
            )
            number = int(cursor.lastrowid or 0)
            for position, wave in enumerate(waves):
                self._base.execute("insert into wave values (?, ?, ?)", (number, position, _body(wave)))
            self._insert(number, rows, 0)
            self._note(number, "", "begun", {"devices": len(rows), "waves": len(waves)})
        return Rollout(number, release, RUNNING, "", "", -1, now)

    def join(self, rollout: int, rows: Sequence[Row]) -> None:
        """Adds devices that are new, and takes anew those whose place has changed."""
        with self._committed():
            self._insert(rollout, rows, self._base.execute("select count(*) from member").fetchone()[0])
            for row in rows:
                self._note(rollout, row.device, "joined", {"wave": row.wave})

    def leave(self, rollout: int, devices: Sequence[str]) -> None:
        """Devices that are no longer in the inventory."""
        with self._committed():
            for device in devices:
                self._base.execute("delete from member where rollout = ? and device = ?", (rollout, device))
                self._note(rollout, device, "left", {})

    def reopen(self, rollout: int, *, resume: bool) -> None:
        """For a hub that begins or goes on: what was in flight waits again (the device will be asked), so does what was
        offline; with `resume` also what failed, and the wave that paused the rollout is accepted as it is."""
        again = (SENDING, OFFLINE, *((FAILED,) if resume else ()))
        now = time.time()
        with self._committed():
            for state in again:
                self._base.execute(
                    "update member set state = ?, changed = ? where rollout = ? and state = ?",
                    (WAITING, now, rollout, state),
                )
            self._base.execute("update member set state = ? where rollout = ? and state = ?", (LIVE, rollout, ASKED))
            paused_at = self._base.execute("select paused_at from rollout where id = ?", (rollout,)).fetchone()[0]
            if resume and paused_at >= 0:
                wave = self._wave(rollout, paused_at)
                self._put_wave(rollout, paused_at, replace(wave, accepted=True))
            self._base.execute(
                "update rollout set state = ?, reason = '', wanted = '', paused_at = -1, changed = ? where id = ?",
                (RUNNING, now, rollout),
            )
            self._note(rollout, "", "resumed" if resume else "opened", {})

    def rows(self, rollout: int) -> tuple[Row, ...]:
        """In the order of the inventory."""
        found = self._base.execute(
            "select device, target, place, wave, state, body, changed from member where rollout = ? "
            "order by position, device",
            (rollout,),
        )
        return tuple(Row(d, t, p, w, s, _told(body), at) for d, t, p, w, s, body, at in found)

    def row(self, rollout: int, device: str) -> Row | None:
        """One device of a rollout, None where it is not in it."""
        query = "select device, target, place, wave, state, body, changed from member where rollout = ? and device = ?"
        for d, t, p, w, s, body, at in self._base.execute(query, (rollout, device)):
            return Row(d, t, p, w, s, _told(body), at)
        return None

    def waves(self, rollout: int) -> tuple[Wave, ...]:
        found = self._base.execute("select body from wave where rollout = ? order by position", (rollout,))
        return tuple(Wave.from_json(json.loads(body)) for (body,) in found)

    def move(self, rollout: int, devices: Mapping[str, tuple[str, Told]]) -> float:
        """The new states of devices, on the disk when this returns: one wait for the disk, however many they are. Gives
        the wall time noted with them. Any text of a device can be noted; what UTF-8 has no form for becomes "?"."""
        now = time.time()
        with self._committed():
            for device, (state, told) in devices.items():
                self._base.execute(
                    "update member set state = ?, body = ?, changed = ? where rollout = ? and device = ?",
                    (state, _body(told), now, rollout, device),
                )
                self._note(rollout, device, state, {"detail": told.detail} if told.detail else {})
        return now

    def put_wave(self, rollout: int, position: int, wave: Wave) -> None:
        with self._committed():
            self._put_wave(rollout, position, wave)
            self._note(rollout, "", "wave passed" if wave.passed else "wave settled", {"wave": wave.name})

    def end(self, rollout: int, state: str, reason: str = "", paused_at: int = -1) -> None:
        """The rollout stops here: paused, complete, incomplete or aborted."""
        with self._committed():
            self._base.execute(
                "update rollout set state = ?, reason = ?, wanted = '', paused_at = ?, changed = ? where id = ?",
                (state, reason, paused_at, time.time(), rollout),
            )
            self._note(rollout, "", state, {"reason": reason} if reason else {})

    def ask(self, rollout: int, wanted: str) -> None:
        """What an operator asks of the hub at work: "pause" or "abort"."""
        with self._committed():
            self._base.execute("update rollout set wanted = ? where id = ?", (wanted, rollout))
            self._note(rollout, "", f"asked to {wanted}", {})

    def wanted(self, rollout: int) -> str:
        return str(self._base.execute("select wanted from rollout where id = ?", (rollout,)).fetchone()[0])

    def events(self, rollout: int) -> tuple[dict[str, Any], ...]:
        """All that happened, in order."""
        found = self._base.execute(
            "select seq, wall, device, what, body from event where rollout = ? order by seq", (rollout,)
        )
        return tuple({"seq": s, "wall": w, "device": d, "what": what, **json.loads(b)} for s, w, d, what, b in found)

    def _insert(self, rollout: int, rows: Sequence[Row], start: int) -> None:
        now = time.time()
        self._base.executemany(
            "insert or replace into member values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    rollout,
                    row.device,
                    row.target,
                    row.place,
                    start + i,
                    row.wave,
                    row.state,
                    _body(row.told),
                    now,
                )
                for i, row in enumerate(rows)
            ],
        )

    def _wave(self, rollout: int, position: int) -> Wave:
        query = "select body from wave where rollout = ? and position = ?"
        return Wave.from_json(json.loads(self._base.execute(query, (rollout, position)).fetchone()[0]))

    def _put_wave(self, rollout: int, position: int, wave: Wave) -> None:
        self._base.execute(
            "update wave set body = ? where rollout = ? and position = ?",
            (_body(wave), rollout, position),
        )

    def _note(self, rollout: int, device: str, what: str, body: Mapping[str, Any]) -> None:
        self._base.execute(
            "insert into event (rollout, wall, device, what, body) values (?, ?, ?, ?, ?)",
            (rollout, time.time(), device, what, _body(body)),
        )


def _body(value: Any) -> str:
    """A value as the JSON that the ledger keeps."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace").decode()


def _told(body: str) -> Told:
    """What was noted of a device. A note that cannot be read any more does not hide the others."""
    try:
        return Told.from_json(json.loads(body))
    except (TypeError, ValueError, RecursionError):
        return Told(detail="What was noted of it cannot be read.")
