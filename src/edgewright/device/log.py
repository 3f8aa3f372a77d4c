"""A log file of bounded size: `agent.log`, and the half before it in `agent.log.1`."""

from __future__ import annotations

import os
import time

LIMIT = 1 << 20


class Log(object):
    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self._path, self._limit = path, limit

    def write(self, text: str) -> None:
        """A line of the supervisor's own."""
        self.add(("%sZ SUPERVISOR %s\n" % (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), text)).encode("utf-8"))

    def add(self, data: bytes) -> None:
        """Bytes as an agent wrote them. A disk that is full loses them; the service goes on."""
        try:
            if os.path.exists(self._path) and os.path.getsize(self._path) + len(data) > self._limit // 2:
                os.replace(self._path, self._path + ".1")
            with open(self._path, "ab") as file:
                file.write(data[-self._limit // 2 :])
        except OSError:
            pass
