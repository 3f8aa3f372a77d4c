"""The spool keeps readings in order, within its bytes, across restarts and damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device.spool import Spool


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Spool(str(tmp_path))
    assert [first.append({"n": n}) for n in range(3)] == [1, 2, 3]
    second = Spool(str(tmp_path))
    assert second.append({"n": 3}) == 4
    assert [r["n"] for r in second.read(0)] == [0, 1, 2, 3]
    assert [r["n"] for r in second.read(2)] == [2, 3]
    assert second.last_seq() == 4


def test_the_oldest_are_dropped_when_it_is_full(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), segment_bytes=1000, spool_bytes=5000)
    for n in range(500):
        spool.append({"n": n, "pad": "x" * 50})
    kept = [r["seq"] for r in spool.read(0)]
    assert kept == list(range(kept[0], 501)) and 20 < len(kept) < 100
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 6500


def test_a_cut_tail_costs_that_reading_alone(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    for n in range(5):
        spool.append({"n": n})
    segment = next(tmp_path.glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes()[:-7])
    again = Spool(str(tmp_path))
    assert again.append({"n": 9}) == 5
    assert [r["n"] for r in again.read(0)] == [0, 1, 2, 3, 9]


@settings(max_examples=50, deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8))
def test_damage_never_stops_it(tmp_path_factory: object, damage: list[tuple[int, int]]) -> None:
    folder = tmp_path_factory.mktemp("spool")  # type: ignore[attr-defined]
    spool = Spool(str(folder))
    for n in range(10):
        spool.append({"n": n})
    segment = next(folder.glob("*.jsonl"))
    body = bytearray(segment.read_bytes())
    for place, value in damage:
        body[place % len(body)] = value
    segment.write_bytes(bytes(body))
    again = Spool(str(folder))
    number = again.append({"n": 10})
    assert again.read(number - 1)[-1]["n"] == 10


def test_two_agents_at_once_never_share_a_number(tmp_path: Path) -> None:
    program = "import sys; from edgewright.device.spool import Spool; s = Spool(sys.argv[1])"
    program += "\nfor _ in range(60): s.append({})"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert [r["seq"] for r in Spool(str(tmp_path)).read(0)] == list(range(1, 121))


def test_a_long_history_is_given_in_pieces(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), segment_bytes=500)
    for _ in range(100):
        spool.append({})
    found, since = [], 0
    while piece := spool.read(since, limit=17):
        found += piece
        since = piece[-1]["seq"]
    assert [r["seq"] for r in found] == list(range(1, 101))
