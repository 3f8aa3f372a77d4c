"""The spool: readings kept on the device until somebody asks, bounded in bytes, oldest dropped first.

Segments of JSON lines, `<first seq>.jsonl`. During a hand-over two agents write; a lock keeps their
lines and numbers apart. A tail cut by a power loss is skipped.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from typing import Any, Dict, List, Mapping, Optional, Tuple

SEGMENT_BYTES = 1 << 18
SPOOL_BYTES = 8 << 20
ANSWER_LIMIT = 2000
"""Readings given at once; the next question goes on from there."""


class Spool(object):
    def __init__(self, folder: str, segment_bytes: int = SEGMENT_BYTES, spool_bytes: int = SPOOL_BYTES) -> None:
        self.folder, self._segment_bytes, self._spool_bytes = folder, segment_bytes, spool_bytes
        os.makedirs(folder, exist_ok=True)
        self._guard = threading.Lock()
        self._seen: Optional[Tuple[str, int]] = None  # segment and size after our own last line
        self._last = 0

    def append(self, reading: Mapping[str, Any]) -> int:
        """Adds a reading under the next number, which it gives back. OSError when the disk is full."""
        with self._guard, open(os.path.join(self.folder, "lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            last = self._last_seq()
            number = last + 1
            line = json.dumps(dict(reading, seq=number), sort_keys=True).encode("utf-8") + b"\n"
            segments = self._segments()
            path = segments[-1] if segments else self._path(number)
            if segments and os.path.getsize(path) + len(line) > self._segment_bytes:
                path = self._path(number)
            with open(path, "ab") as file:
                if file.tell() and not _ends_whole(path):
                    file.write(b"\n")
                file.write(line)
            self._seen, self._last = (path, os.path.getsize(path)), number
            self._drop_oldest()
            return number

    def read(self, since: int, limit: int = ANSWER_LIMIT) -> List[Dict[str, Any]]:
        """Readings numbered above `since`, oldest first, at most `limit`."""
        found: List[Dict[str, Any]] = []
        segments = self._segments()
        for path, following in zip(segments, segments[1:] + [None]):
            if following is not None and _first(following) <= since + 1:
                continue
            found += [entry for entry in _entries(path) if entry["seq"] > since]
            if len(found) >= limit:
                break
        return found[:limit]

    def last_seq(self) -> int:
        segments = self._segments()
        return next((entries[-1]["seq"] for entries in map(_entries, reversed(segments)) if entries), 0)

    def _last_seq(self) -> int:
        segments = self._segments()
        if segments and self._seen == (segments[-1], os.path.getsize(segments[-1])):
            return self._last
        # A segment whose lines are all damaged still tells where its numbers began.
        return max(self.last_seq(), _first(segments[-1]) if segments else 0, self._last)

    def _segments(self) -> List[str]:
        names = [name for name in os.listdir(self.folder) if name.endswith(".jsonl") and name[:-6].isdigit()]
        return [os.path.join(self.folder, name) for name in sorted(names)]

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, "%012d.jsonl" % number)

    def _drop_oldest(self) -> None:
        segments = self._segments()
        sizes = [os.path.getsize(path) for path in segments]
        while len(segments) > 1 and sum(sizes) > self._spool_bytes:
            os.unlink(segments.pop(0))
            sizes.pop(0)


def _first(path: str) -> int:
    return int(os.path.basename(path)[:-6])


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _entries(path: str) -> List[Dict[str, Any]]:
    found = []
    try:
        with open(path, "rb") as file:
            lines = file.read(4 * SEGMENT_BYTES).splitlines()
    except FileNotFoundError:  # dropped meanwhile
        return []
    for line in lines:
        try:
            entry = json.loads(line.decode("utf-8"))
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("seq"), int):
            found.append(entry)
    return found
