"""The store: one folder beside the work (`.edgewright/`), where every stage keeps its result.

A result is written under the digest of everything it depends on, by a temporary name and a rename, so
that a killed run leaves whole results or none. Layout:

    cache/<stage>/<key>.json      a Record
    cache/<stage>/<key>/          a stage's files; the folder has its final name only when complete
    runs/<name>/                  what people look at: report, decision, tables, traces
    devices/<target>/             the device folder of a target on this machine
    files.sqlite                  digests of the user's files, by path, size and time of change
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from edgewright.core.errors import DeviceError
from edgewright.core.plugs import Room
from edgewright.core.record import Record

R = TypeVar("R", bound=Record)

PLUG_ROOMS = ("sources", "tasks", "targets", "transports")


def default_root() -> Path:
    """`$EDGEWRIGHT_HOME`, or `.edgewright` in the current folder."""
    return Path(os.environ.get("EDGEWRIGHT_HOME") or ".edgewright").absolute()


class Store:
    """Content-addressed results of stages. Safe against kill -9; not a lock between two runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, stage: str, key: str, kind: type[R]) -> R | None:
        """The stored record, or None. A damaged file counts as absent (it is made again)."""
        try:
            return kind.from_json(json.loads((self._place(stage, key, ".json")).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def put(self, stage: str, key: str, record: R) -> R:
        self.write(self._place(stage, key, ".json"), json.dumps(record.to_json(), ensure_ascii=False))
        return record

    def folder(self, stage: str, key: str) -> Path:
        """Where the files of a finished stage lie; it exists only when complete."""
        return self._place(stage, key, "")

    @contextlib.contextmanager
    def making(self, stage: str, key: str) -> Iterator[Path]:
        """A temporary folder that becomes `folder(stage, key)` when the block ends without an error."""
        final = self.folder(stage, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=final.parent))
        work.chmod(0o755)
        try:
            with disk_errors(final):
                yield work
                if final.exists():
                    shutil.rmtree(final)
                work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def run_folder(self, name: str) -> Path:
        place = self.root / "runs" / name
        with disk_errors(place):
            place.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, path: Path, text: str) -> None:
        """Durable and atomic: temporary name, fsync, rename."""
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as out:
                    out.write(text)
                    out.flush()
                    os.fsync(out.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def file_digest(self, path: Path) -> str:
        """sha256 of a file (or of a folder's files with their names), remembered by size and time of change."""
        return self.file_digests([path])[0]

    def file_digests(self, paths: Iterable[Path]) -> list[str]:
        with self._memo() as memo:
            return [_remembered(memo, path.absolute()) for path in paths]

    def _place(self, stage: str, key: str, suffix: str) -> Path:
        return self.root / "cache" / stage / (key[:40] + suffix)

    @contextlib.contextmanager
    def _memo(self) -> Iterator[sqlite3.Connection]:
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            memo = sqlite3.connect(self.root / "files.sqlite", timeout=30)
            memo.execute("create table if not exists file (path text primary key, size int, changed int, digest text)")
        try:
            yield memo
            memo.commit()
        finally:
            memo.close()


@contextlib.contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a sentence; nothing else is touched."""
    try:
        yield
    except OSError as error:
        import errno

        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DeviceError(
                f"The disk that holds {place} is full.", "Free some space and run again: it resumes."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DeviceError(
                f"{place} cannot be written: {error.strerror}.", "Set EDGEWRIGHT_HOME to a folder you may write."
            ) from error
        raise


def _remembered(memo: sqlite3.Connection, path: Path) -> str:
    if path.is_dir():
        parts = [f"{p.relative_to(path)}:{_remembered(memo, p)}" for p in sorted(path.rglob("*")) if p.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    stat = path.stat()
    row = memo.execute(
        "select digest from file where path = ? and size = ? and changed = ?",
        (str(path), stat.st_size, stat.st_mtime_ns),
    ).fetchone()
    if row:
        return str(row[0])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    memo.execute("insert or replace into file values (?, ?, ?, ?)", (str(path), stat.st_size, stat.st_mtime_ns, digest))
    return digest


@cache
def code_version(*rooms: str) -> str:
    """sha256 over the source of the named rooms ("graph", "targets/openvino", …) of this installation:
    a stage whose code changed is run again, one whose code did not is not. A member of a plug room counts with
    what its room shares, and wherever it is installed."""
    total = hashlib.sha256()
    for room in ("core", *rooms):
        for file in _sources(room):
            total.update(f"{room}/{file.name}".encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:24]


def _sources(room: str) -> list[Path]:
    package = Path(__file__).parent.parent
    place, shared = package / room, []
    above, _, member = room.partition("/")
    if member and above in PLUG_ROOMS:
        place = Room[object](above, "member").place(member)
        shared = sorted((package / above).glob("*.py"))
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return [*shared, *(file for file in files if file.is_file())]
