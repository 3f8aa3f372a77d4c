"""Telemetry keeps every reading once, and survives."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edgewright.core.errors import DeviceError
from edgewright.core.verdict import Incident, Reading
from edgewright.store.telemetry import MIGRATIONS, Telemetry

READING = Reading(1, "boot-a", 1.0, 1.0, 1.0, 10, 0, 5.0, 9.0, 12.0, 1 << 20, {"score": (1, 2, 3)}, 45.5, None)
INCIDENT = Incident("latency_p95_ms", 20.0, 31.0, 4, 9, "abc", "p95 was 31 ms.")


def test_a_reading_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with Telemetry(tmp_path / "t.sqlite") as telemetry:
        batch = [replace(READING, seq=n) for n in (1, 2, 3)]
        assert telemetry.add("gate", "abc", batch) == batch
        assert telemetry.add("gate", "abc", [*batch, replace(READING, seq=4)]) == [replace(READING, seq=4)]
        assert telemetry.add("gate", "abc", [replace(READING, boot="boot-b")]) == [replace(READING, boot="boot-b")]
        assert telemetry.add("other", "abc", batch) == batch
        assert len(telemetry.readings("gate")) == 5


def test_readings_come_back_as_they_were_and_by_release(tmp_path: Path) -> None:
    with Telemetry(tmp_path / "t.sqlite") as telemetry:
        telemetry.add("gate", "old", [READING])
        telemetry.add("gate", "new", [replace(READING, seq=2), replace(READING, seq=3)])
    with Telemetry(tmp_path / "t.sqlite") as telemetry:
        assert telemetry.readings("gate", release="old") == [READING]
        assert [r.seq for r in telemetry.readings("gate")] == [1, 2, 3]
        assert [r.seq for r in telemetry.readings("gate", limit=2)] == [2, 3]
        assert telemetry.last_seq("gate") == 3 and telemetry.last_seq("unknown") == 0


def test_an_incident_is_kept_once(tmp_path: Path) -> None:
    with Telemetry(tmp_path / "t.sqlite") as telemetry:
        assert telemetry.add_incident("gate", INCIDENT)
        assert not telemetry.add_incident("gate", INCIDENT)
        assert telemetry.incidents("gate") == [INCIDENT] == telemetry.incidents("gate", "abc")
        assert telemetry.incidents("gate", "another") == []


def test_a_reader_sees_what_a_watcher_writes(tmp_path: Path) -> None:
    with Telemetry(tmp_path / "t.sqlite") as writer, Telemetry(tmp_path / "t.sqlite") as reader:
        writer.add("gate", "abc", [READING])
        assert reader.readings("gate") == [READING]
        assert reader.prune(0.0) == 1 and writer.readings("gate") == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.sqlite").write_text("not a database, but long enough to be looked at as one")
    with pytest.raises(DeviceError, match="cannot be used"):
        Telemetry(tmp_path / "t.sqlite")


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    Telemetry(tmp_path / "t.sqlite").close()
    base = sqlite3.connect(tmp_path / "t.sqlite")
    base.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    base.close()
    with pytest.raises(DeviceError, match="newer Edgewright"):
        Telemetry(tmp_path / "t.sqlite")
