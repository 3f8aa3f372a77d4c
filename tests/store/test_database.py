"""A database of ours: a full or unwritable disk is told as one, and two may open a new file at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.errors import DeviceError
from edgewright.store import database
from edgewright.store.database import Database

MIGRATIONS = (
    "create table one (a text not null); create index one_a on one (a);",
    "create table two (b text not null default ';'); insert into two values ('x;y');",
)


class Notes(Database):
    def __init__(self, path: Path, forms: int = 2) -> None:
        super().__init__(path, MIGRATIONS[:forms], keep="normal", remedy="Move it away.")

    def note(self, text: str) -> None:
        with self._committed():
            self._base.execute("insert into one values (?)", (text,))

    def notes(self) -> list[str]:
        return [text for (text,) in self._base.execute("select a from one")]

    def pragma(self, text: str) -> None:
        self._base.execute(f"pragma {text}")


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with Notes(tmp_path / "n.sqlite") as notes:
        notes.note("before")
        notes.pragma("max_page_count = 8")
        with pytest.raises(DeviceError, match="is full") as caught:
            notes.note("x" * 100_000)
        assert "Free some space" in caught.value.remedy
        notes.note("small")
        assert notes.notes() == ["before", "small"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with Notes(tmp_path / "n.sqlite") as notes:
        notes.pragma("query_only = on")
        with pytest.raises(DeviceError, match="cannot be written"):
            notes.note("x")
        assert notes.notes() == []


def test_a_file_that_was_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with Notes(path) as notes:
        notes.note("x")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with Notes(path) as notes, pytest.raises(DeviceError, match="Move it away"):
        notes.notes()


def test_a_bug_stays_a_bug(tmp_path: Path) -> None:
    with Notes(tmp_path / "n.sqlite") as notes:
        with pytest.raises(sqlite3.IntegrityError):
            notes.note(None)  # type: ignore[arg-type]
        notes.note("x")
        assert notes.notes() == ["x"]


def test_a_file_of_an_older_form_is_brought_to_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with Notes(path, forms=1) as notes:
        notes.note("kept")
    with Notes(path) as notes:
        assert notes.notes() == ["kept"]
    base = sqlite3.connect(path)
    assert base.execute("select b from two").fetchall() == [("x;y",)]
    base.close()


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_file_whose_making_is_killed_is_made_by_the_next_one(tmp_path: Path, cut: int) -> None:
    path, child = tmp_path / "n.sqlite", os.fork()
    if child == 0:
        base, begun = database._Connection.execute, iter(range(cut))

        def execute(self: database._Connection, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.strip().startswith(("create", "insert")) and next(begun, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return base(self, sql, *values)

        database._Connection.execute = execute  # type: ignore[method-assign, assignment]
        try:
            Notes(path)
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]) == (cut < 4)
    with Notes(path) as notes:
        notes.note("x")
        assert notes.notes() == ["x"]


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    for turn in range(8):
        path, barrier, said = tmp_path / f"{turn}.sqlite", threading.Barrier(6), list[str]()

        def opens(path: Path = path, barrier: threading.Barrier = barrier, said: list[str] = said) -> None:
            barrier.wait()
            try:
                Notes(path).close()
            except DeviceError as error:
                said.append(str(error))

        threads = [threading.Thread(target=opens) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == []
