"""A database of ours in one SQLite file: opened, brought to the newest form, and changed in whole steps."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgewright.core.errors import DeviceError
from edgewright.store.cache import disk_errors

WAIT_S = 30.0
"""For another process that writes."""
UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
UNUSABLE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Database:
    """`with Database(…) as base: …`. `migrations` are scripts, each from one form to the next; `keep` is how hard the
    disk is asked to keep a commit (SQLite's `synchronous`; WAL keeps the file whole with either). DeviceError, with
    `remedy`, where the file is no database of ours; and, whatever is done, where the disk is full, the file cannot be
    written or read, or another process keeps it."""

    def __init__(self, path: Path, migrations: Sequence[str], *, keep: str, remedy: str) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with _told(path, remedy):
                    self._base = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, factory=_Connection)
                    self._base.path, self._base.remedy = path, remedy
                    _keep_a_log(self._base)
                    self._base.execute(f"pragma synchronous = {keep}")
                    self._migrate(migrations)
            except sqlite3.DatabaseError as error:
                raise DeviceError(f"{path} cannot be used: {error}.", remedy) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._base.close()

    @contextlib.contextmanager
    def _committed(self) -> Iterator[None]:
        """All that is changed inside, or nothing of it."""
        with disk_errors(self.path):
            self._base.execute("begin immediate")
            try:
                yield
                self._base.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._base.rollback()  # SQLite itself did, after some errors (a full disk): then this does nothing
                raise

    def _migrate(self, migrations: Sequence[str]) -> None:
        if self._form() == len(migrations):
            return
        with self._committed():  # two that open a new file at once: the second one finds it made
            done = self._form()
            if done > len(migrations):
                raise DeviceError(
                    f"{self.path} was written by a newer Edgewright.", "Use that one, or move the file away."
                )
            for number, script in enumerate(migrations[done:], done + 1):
                for statement in _statements(script):
                    self._base.execute(statement)
                self._base.execute(f"pragma user_version = {number}")

    def _form(self) -> int:
        return int(self._base.execute("pragma user_version").fetchone()[0])


class _Connection(sqlite3.Connection):
    """A connection that tells of its disk as everything of ours does."""

    path, remedy = Path(), ""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        with disk_errors(self.path), _told(self.path, self.remedy):
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        with disk_errors(self.path), _told(self.path, self.remedy):
            return super().executemany(sql, parameters)


@contextlib.contextmanager
def _told(path: Path, remedy: str) -> Iterator[None]:
    """SQLite's word for the state of a disk as an OSError or a DeviceError. What is left is a bug, and stays one."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the rest says more of the same
        if code == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, str(error)) from error
        if code in UNWRITABLE:
            raise OSError(errno.EACCES, str(error)) from error
        if code in UNUSABLE:
            raise DeviceError(f"{path} cannot be used: {error}.", remedy) from error
        if code in BUSY:
            raise DeviceError(
                f"{path} is kept by another process for over {WAIT_S:g} s.", "Wait for it to end, or end it."
            ) from error
        raise


def _keep_a_log(base: sqlite3.Connection) -> None:
    """Write-ahead logging. SQLite does not wait where another process asks for it at the very same time."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            sqlite3.Connection.execute(base, "pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit what was begun before it."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
