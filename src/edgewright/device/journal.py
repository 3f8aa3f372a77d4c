"""The installer's journal: one JSON object a line, each on the disk before the step it allows.

A line that was cut by a kill is the last one, and is ignored; so the journal always says either that a
step was done or nothing of it.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, Optional

from edgewright.device import durable

STEPS = (
    "begun",  # which release replaces which
    "received",  # every blob is here and has its digest
    "assembled",  # the release's folder is complete
    "replayed",  # the golden samples gave the golden answers, in time and memory
    "managed",  # whoever keeps the service alive knows of it: systemd's unit, or nobody but our supervisor
    "switching",  # from here on a kill may leave `current` on the new release
    "switched",
    "started",
    "healthy",  # /healthz says that the new release serves
    "baked",  # it has lasted for its bake time and kept its limits
    "committed",
)
ENDS = ("committed", "refused", "rolled back", "reverted")  # reverted: by the boot counter, without an installer
KEPT_BYTES = 1 << 18
"""Above this the journal is cut to its younger half, between two installations."""


class Journal(object):
    def __init__(self, path: str) -> None:
        self.path = path

    def record(self, step: str, **facts: Any) -> None:
        """Appends a line and waits until it is on the disk."""
        line = json.dumps(dict(facts, step=step, wall=time.time()), sort_keys=True)
        with open(self.path, "ab", opener=durable.without_creating) as file:
            if file.tell() and not self._ends_whole():
                file.write(b"\n")
            file.write(line.encode("utf-8") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> List[Dict[str, Any]]:
        """Every whole record, oldest first."""
        try:
            with open(self.path, "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                entry = json.loads(line.decode("utf-8"))
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), str):
                found.append(entry)
        return found

    def open_installation(self) -> Optional[List[Dict[str, Any]]]:
        """The records since the last `begun`, if that installation has not come to an end."""
        records = self.read()
        for index in range(len(records) - 1, -1, -1):
            if records[index]["step"] in ENDS:
                return None
            if records[index]["step"] == "begun":
                return records[index:]
        return None

    def last_number(self) -> int:
        numbers = [r["number"] for r in self.read() if isinstance(r.get("number"), int)]
        return max(numbers, default=0)

    def shorten(self) -> None:
        if os.path.exists(self.path) and os.path.getsize(self.path) > KEPT_BYTES:
            records = self.read()
            kept = records[len(records) // 2 :]
            durable.write_text(self.path, "".join(json.dumps(r, sort_keys=True) + "\n" for r in kept))

    def _ends_whole(self) -> bool:
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
