"""A database of ours in one SQLite file: opened, brought to the newest form, and changed in whole steps."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from edgewright.core.errors import DeviceError
from edgewright.store.cache import disk_errors


class Database:
    """`with Database(…) as base: …`. `migrations` are scripts, each from one form to the next; `keep` is how hard the
    disk is asked to keep a commit (SQLite's `synchronous`; WAL keeps the file whole with either). DeviceError, with
    `remedy`, where the file is no database of ours, and where the disk is full."""

    def __init__(self, path: Path, migrations: Sequence[str], *, keep: str, remedy: str) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._base = sqlite3.connect(path, timeout=30, isolation_level=None)
                self._base.execute("pragma journal_mode = wal")
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
                self._base.execute("rollback")
                raise

    def _migrate(self, migrations: Sequence[str]) -> None:
        done = int(self._base.execute("pragma user_version").fetchone()[0])
        if done > len(migrations):
            raise DeviceError(f"{self.path} was written by a newer Edgewright.", "Use that one, or move the file away.")
        for number, script in enumerate(migrations[done:], done + 1):
            self._base.executescript(f"begin immediate; {script}; pragma user_version = {number}; commit;")
