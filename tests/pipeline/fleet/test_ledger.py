"""The ledger: what was committed is there after a kill, and every state of a rollout survives being opened again."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.core.errors import DeviceError, InputError
from edgewright.pipeline.fleet.ledger import Ledger, Row, Told
from edgewright.pipeline.fleet.rollout import ASKED, FAILED, LIVE, OFFLINE, SENDING, WAITING, Wave

CHILD = """
import sys
from pathlib import Path
from edgewright.pipeline.fleet.ledger import Ledger, Row, Told
from edgewright.pipeline.fleet.rollout import Wave

with Ledger(Path(sys.argv[1])) as ledger:
    names = [f"d{n}" for n in range(8)]
    rollout = ledger.newest() or ledger.begin("r", [Wave("w")], [Row(name, "", "p", 0) for name in names])
    step = int(sys.argv[2])
    while True:
        ledger.move(rollout.id, {names[step % 8]: ("live", Told(number=step))})
        print(step, flush=True)
        step += 1
"""


def _ledger(folder: Path, states: list[str]) -> Ledger:
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.begin("r", [Wave("w"), Wave("x")], [Row(f"d{n}", "cpu", "p", 0, state) for n, state in enumerate(states)])
    return ledger


def test_what_was_committed_is_there_after_a_kill(tmp_path: Path) -> None:
    path, step = tmp_path / "ledger.sqlite", 0
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(step)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        said = [int(child.stdout.readline())]
        time.sleep(random.uniform(0, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        said += [int(line) for line in child.stdout.read().splitlines()]
        child.wait()
        with Ledger(path) as ledger:
            rollout = ledger.newest()
            assert rollout is not None and rollout.id == 1
            numbers = {row.device: row.told.number for row in ledger.rows(1)}
            moves = [event for event in ledger.events(1) if event["what"] == "live"]
        newest = max(numbers.values())
        assert newest >= said[-1], "what it was told is kept is kept"
        assert len(moves) == newest + 1, "a change and its note are committed together"
        for number in range(max(0, newest - 7), newest + 1):
            assert numbers[f"d{number % 8}"] == number
        step = newest + 1


def test_what_was_in_flight_or_out_of_reach_waits_again_and_what_failed_only_if_asked(tmp_path: Path) -> None:
    with _ledger(tmp_path, [WAITING, SENDING, LIVE, ASKED, FAILED, OFFLINE]) as ledger:
        ledger.reopen(1, resume=False)
        assert [row.state for row in ledger.rows(1)] == [WAITING, WAITING, LIVE, LIVE, FAILED, WAITING]
        ledger.end(1, "paused", "too slow", paused_at=1)
        ledger.reopen(1, resume=True)
        assert [row.state for row in ledger.rows(1)] == [WAITING, WAITING, LIVE, LIVE, WAITING, WAITING]
        assert [wave.accepted for wave in ledger.waves(1)] == [False, True]
        rollout = ledger.newest()
        assert rollout is not None and (rollout.state, rollout.reason, rollout.paused_at) == ("running", "", -1)


def test_a_new_rollout_supersedes_one_that_was_not_finished(tmp_path: Path) -> None:
    with _ledger(tmp_path, [LIVE, WAITING]) as ledger:
        ledger.begin("better", [Wave("w")], [])
        rollout = ledger.newest()
        assert rollout is not None and (rollout.id, rollout.release) == (2, "better")
        ledger.join(2, [Row("d9", "cpu", "p", 0, state=LIVE, told=Told("x", sent_bytes=3, times=1.5))])
        (row,) = ledger.rows(2)
        assert row == Row("d9", "cpu", "p", 0, LIVE, Told("x", sent_bytes=3, times=1.5), since=row.since)
        assert abs(row.since - time.time()) < 60
        ledger.leave(2, ["d9"])
        assert ledger.rows(2) == ()


def test_one_hub_at_a_time(tmp_path: Path) -> None:
    with _ledger(tmp_path, []) as one, Ledger(tmp_path / "ledger.sqlite") as two:
        with one.hub(), pytest.raises(InputError, match="another process"), two.hub():
            pass
        with two.hub():
            pass


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(DeviceError, match="cannot be used"):
        Ledger(path)


def test_any_text_of_a_device_can_be_noted(tmp_path: Path) -> None:
    with _ledger(tmp_path, [WAITING, WAITING]) as ledger:
        ledger.move(1, {"d0": (FAILED, Told("r", detail="half \ud800 of \x00 it", url="\udfff"))})
        first, second = ledger.rows(1)
        assert (first.state, first.told) == (FAILED, Told("r", detail="half ? of \x00 it", url="?"))
        assert second.state == WAITING and ledger.events(1)[-1]["detail"] == "half ? of \x00 it"


@pytest.mark.parametrize("body", ["", "{", "[]", '{"p95_ms": "abc"}', '{"odd": 1}', "[" * 100_000])
def test_a_note_that_cannot_be_read_hides_no_other(tmp_path: Path, body: str) -> None:
    with _ledger(tmp_path, [LIVE, LIVE]):
        pass
    base = sqlite3.connect(tmp_path / "ledger.sqlite")
    base.execute("update member set body = ? where device = 'd0'", (body,))
    base.commit()
    base.close()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first, second = ledger.rows(1)
        assert (first.state, first.told) == (LIVE, Told(detail="What was noted of it cannot be read."))
        assert second.told == Told() and ledger.row(1, "d0") == first and ledger.row(1, "d9") is None
