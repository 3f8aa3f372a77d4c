"""Runs on the device, once for every program that is started over SSH. Sent as text, never installed.

SSH says neither when a host has gone nor how a program was killed, and a server passes no signals on. This
program knows all three: orders come in frames on stdin, and where they end without a word, or nothing was
heard for too long, the whole process group of the program is killed. Python >= 3.8, standard library.

stdin:  one JSON line {"argv", "env", "nonce", "silence_s", "group"}, then frames: `D <n>` and n bytes of the
        program's stdin, `E` its end, `S <number>` a signal for the group, `H` a sign of life.
stdout: a line with the nonce (login scripts may have written before it), then what the program writes.
stderr: what the program writes, and among it `\\x1e<nonce>:up`, `:no <reason>` or `:exit <status>` lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    Feed = queue.SimpleQueue[bytes | None]


class Orders:
    """Frames from stdin. None where they ended or the host was silent for too long."""

    def __init__(self) -> None:
        self.silence_s = 60.0
        self._data = b""

    def line(self) -> bytes | None:
        while b"\n" not in self._data:
            if not self._more():
                return None
        line, _, self._data = self._data.partition(b"\n")
        return line

    def exactly(self, count: int) -> bytes | None:
        parts, missing = [self._data[:count]], count - len(self._data)
        self._data = self._data[count:]
        while missing > 0:
            if not self._more():
                return None
            parts.append(self._data[:missing])
            self._data, missing = self._data[missing:], missing - len(self._data)
        return b"".join(parts)

    def _more(self) -> bool:
        if not select.select([0], [], [], self.silence_s)[0]:
            return False
        part = os.read(0, 65536)
        self._data += part
        return bool(part)


def say(stream: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    with contextlib.suppress(OSError):  # nobody may listen any more
        while data:
            data = data[os.write(stream, data) :]


def end(child: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(OSError):  # it may have ended
        os.killpg(child.pid, number)


def obey(orders: Orders, child: subprocess.Popen[bytes], feed: Feed) -> None:
    while True:
        words = (orders.line() or b"").split()
        if not words:
            end(child)
            return
        if words[0] == b"D":
            data = orders.exactly(int(words[1]))
            feed.put(data or b"")
        elif words[0] == b"E":
            feed.put(None)
        elif words[0] == b"S":
            end(child, int(words[1]))


def pour(feed: Feed, pipe: IO[bytes]) -> None:
    """Into the program's stdin. It may end, or close it, before it has read everything."""
    open_still = True
    while True:
        data = feed.get()
        try:
            if data is None:
                open_still = False
                pipe.close()
            elif open_still:
                pipe.write(data)
                pipe.flush()
        except (OSError, ValueError):
            open_still = False


def main() -> None:
    orders = Orders()
    order = json.loads(orders.line() or b"{}")
    nonce = order["nonce"]
    orders.silence_s = order["silence_s"]
    say(1, nonce + "\n")
    try:
        child = subprocess.Popen(
            order["argv"], stdin=subprocess.PIPE, env=dict(os.environ, **order["env"]), start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).replace("\n", " ")
        say(2, f"\x1e{nonce}:no {reason}\n")
        os._exit(0)
    say(2, f"\x1e{nonce}:up\n")
    feed: Feed = queue.SimpleQueue()
    threading.Thread(target=obey, args=(orders, child, feed), daemon=True).start()
    threading.Thread(target=pour, args=(feed, child.stdin), daemon=True).start()
    status = child.wait()
    if order["group"]:
        end(child)  # children of the program may outlive it
    say(2, f"\x1e{nonce}:exit {status}\n")
    os._exit(0)


main()
