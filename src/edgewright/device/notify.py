"""What systemd is told of a service of Type=notify: sd_notify(3), by hand.

One datagram to the socket named by NOTIFY_SOCKET ("@" begins an abstract name). Where the variable is absent,
nobody wants to know.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Dict

VARIABLE = "NOTIFY_SOCKET"
PING_S = 1.0


class Notifier(object):
    """Speaks for this process. The address is taken out of the environment, so that no child speaks for it too."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._pinged = 0.0

    def environment(self) -> Dict[str, str]:
        """For a program that takes this one's place."""
        return {VARIABLE: self._address.replace("\0", "@", 1)} if self._address else {}

    def ready(self, status: str) -> None:
        """The service answers now (again)."""
        self._send("READY=1\nSTATUS=%s" % _line(status))

    def status(self, status: str) -> None:
        self._send("STATUS=%s" % _line(status))

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def ping(self) -> None:
        """The watchdog is fed, at most once a second."""
        if time.monotonic() - self._pinged >= PING_S:
            self._pinged = time.monotonic()
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(1.0)
                out.sendto(text.encode("utf-8"), self._address)
        except OSError:  # whoever supervises us must not be able to end the service by not listening
            pass


def from_environment() -> Notifier:
    return Notifier(os.environ.pop(VARIABLE, ""))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
