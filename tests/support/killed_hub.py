"""A hub that is killed at every write of its ledger, before it is committed and after, each moment once, and begun anew
until it comes to its end.

    python killed_hub.py FLEET HOME      one JSON object: {"kills": [moment], "state": of the rollout in the end}

A moment is what the write changed and noted, as the ledger itself has it: a write that is new is a moment by itself.
Every hub is a process of its own, forked from one that has imported everything and begun nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from edgewright.pipeline import deploy, device_program  # noqa: F401
from edgewright.pipeline.fleet import hub
from edgewright.pipeline.fleet.fleet import open_fleet
from edgewright.pipeline.fleet.ledger import Ledger
from edgewright.pipeline.fleet.releases import releases
from edgewright.pipeline.progress import Silent

MOST = 200
"""Hubs; more are needed only where a rollout comes no further."""


class Killed:
    """Ledger._committed, with a kill where `met` does not have the moment yet."""

    def __init__(self, met: Path) -> None:
        self._met = met
        self._known = set(met.read_text().splitlines()) if met.exists() else set()
        self._whole = Ledger._committed

    @contextlib.contextmanager
    def committed(self, ledger: Ledger) -> Iterator[None]:
        with self._whole(ledger):
            if not _made(ledger):  # the file itself is being made: nothing of a rollout is in it
                yield
                return
            states, last = _states(ledger), _last(ledger)
            yield
            moved = [f"{device}: {states.get(device)} → {now}" for device, now in _states(ledger).items()]
            noted = ledger._base.execute("select device, what from event where seq > ?", (last,)).fetchall()
            changed = [said for said in moved if len(set(said.split(": ")[1].split(" → "))) > 1]
            moment = "; ".join([*changed, *(f"{what} {device}".strip() for device, what in noted)])
            self._meet(f"before the commit of: {moment}")
        self._meet(f"after the commit of: {moment}")

    def _meet(self, moment: str) -> None:
        if moment in self._known:
            return
        with self._met.open("a") as out:
            out.write(moment + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


def _made(ledger: Ledger) -> bool:
    return bool(ledger._base.execute("select 1 from sqlite_master where name = 'event'").fetchall())


def _states(ledger: Ledger) -> dict[str, str]:
    newest = "select device, state from member where rollout = (select max(id) from rollout)"
    return dict(ledger._base.execute(newest).fetchall())


def _last(ledger: Ledger) -> int:
    return int(ledger._base.execute("select coalesce(max(seq), 0) from event").fetchone()[0])


def work(what: str, home: Path, met: Path, end: Path) -> None:
    """One hub; it ends this process."""
    killed = Killed(met)
    Ledger._committed = lambda ledger: killed.committed(ledger)  # type: ignore[method-assign, assignment, return-value]
    fleet = open_fleet(what, home=home)
    end.write_text(hub.carry_out(fleet, releases(fleet, Silent())).rollout.state)


def main() -> None:
    what, home = sys.argv[1], Path(sys.argv[2])
    home.mkdir(parents=True, exist_ok=True)
    met, end = home / "moments", home / "end"
    for _ in range(MOST):
        child = os.fork()
        if child == 0:
            try:
                work(what, home, met, end)
            finally:
                os._exit(0 if end.exists() else 1)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            break
    print(json.dumps({"kills": met.read_text().splitlines(), "state": end.read_text() if end.exists() else ""}))


if __name__ == "__main__":
    main()
