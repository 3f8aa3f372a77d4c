"""The running service of a device folder, seen from outside: is it there, is it well, make it follow
`current`, end it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from typing import Any, Dict, List, Optional

from edgewright.device import durable, managers, processes
from edgewright.device.release import Layout, ReleaseError

READINGS_LIMIT = 64 << 20
STOP_S = 12.0
READY_S = 200.0
"""How long an installer waits for the supervisor to follow it; a little more than a model may take to load."""
BUSY = 3
"""How a supervisor ends where another one is at work."""
CODE = os.path.dirname(os.path.realpath(__file__))


def version_of(code: str) -> str:
    """The digest by which a folder of device programs is known (tools/<digest>/edgewright/device); "" for another."""
    digest = os.path.basename(os.path.dirname(os.path.dirname(code)))
    return digest if re.fullmatch(r"[0-9a-f]{12}", digest) else ""


class Serving(object):
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._spawned: Optional[subprocess.Popen[bytes]] = None

    def state(self) -> Dict[str, Any]:
        return durable.read_json(self._layout.state) or {}

    def running(self) -> bool:
        """Whether the supervisor lives (its agent may still be starting)."""
        return processes.alive(self.state().get("supervisor"))

    def url(self) -> Optional[str]:
        state = self.state()
        host, port = state.get("host"), state.get("port")
        if not isinstance(host, str) or not isinstance(port, int) or not self.running():
            return None
        return "http://%s:%d" % (reachable(host), port)

    def health(self, timeout_s: float = 2.0) -> Optional[Dict[str, Any]]:
        """What /healthz says; None where nobody answers."""
        state = self.state()
        if self.url() is None or state.get("agent") is None:
            return None
        return ask_health(reachable(state["host"]), state["port"], timeout_s)

    def readings(self, since: int) -> Dict[str, Any]:
        """The readings above `since`, as /readings gives them. ReleaseError where nobody answers."""
        state, path = self.state(), "/readings?since=%d" % since
        found = None if self.url() is None else ask(reachable(state["host"]), state["port"], path, 20.0, READINGS_LIMIT)
        if found is None or not isinstance(found.get("readings"), list):
            raise ReleaseError("The service does not answer.", "See run/agent.log in the device folder.")
        return found

    def serves(self, name: str) -> bool:
        """Whether exactly this release answers, ready."""
        own, health = self._layout.describe(name) or {}, self.health() or {}
        same = health.get("release") == own.get("digest") and health.get("number") == own.get("number")
        return bool(same and health.get("ready"))

    def settled(self) -> bool:
        """Whether the supervisor has done what was wished last, and is not about to serve another release."""
        state, control = self.state(), durable.read_json(self._layout.control) or {}
        return state.get("phase") == "serving" and state.get("token") == control.get("token")

    def follow(self, timeout_s: float, paused: bool = False) -> str:
        """Has the supervisor (started if need be) follow `current`, or pause for as long as this process
        lives. "" when that is done, else why not."""
        token = str(uuid.uuid4())
        wish = {"token": token, "paused": paused, "by": processes.identity(os.getpid()), "code": CODE}
        durable.write_json(self._layout.control, wish)
        state = self.state()
        another = processes.alive(state.get("supervisor")) and state.get("code") != CODE
        if another and not (state.get("hands_over") and version_of(CODE)):
            self.stop()  # another version of this program, which does not know how to become ours
        if not processes.send(self.state().get("supervisor"), signal.SIGHUP):
            self._spawn()
        deadline, asked = time.monotonic() + timeout_s, time.monotonic() + 2.0
        while time.monotonic() < deadline:
            state = self.state()
            if state.get("token") == token:
                if state.get("phase") in ("serving", "paused", "empty"):
                    return ""
                if state.get("phase") == "failed":
                    return str(state.get("reason"))
                if not processes.alive(state.get("supervisor")):
                    return "the supervisor ended"
            if self._spawned is not None and self._spawned.poll() is not None:
                if self._spawned.returncode != BUSY:
                    return "the supervisor ended: %s" % self._last_words()
                self._spawned = None  # there is one that had not told of itself yet
            if time.monotonic() > asked:
                if managers.failed(self._layout):
                    return "systemd has given it up"
                known = state.get("supervisor")
                if self._spawned is None and not processes.alive(known):
                    self._spawn()  # it was killed before it could follow
                asked = time.monotonic() + 2.0
            time.sleep(0.01)
        return "it was not ready after %d s" % timeout_s

    def stop(self) -> bool:
        """Ends supervisor and agent. True when something was running."""
        state = self.state()
        was = processes.alive(state.get("supervisor"))
        managers.stop(self._layout)
        gone = processes.end(state.get("supervisor"), STOP_S)
        # An agent whose supervisor was killed ends by itself; it is not left to chance.
        if not (processes.wait_gone(state.get("agent"), 3.0) or processes.end(state.get("agent"), 3.0)) or not gone:
            raise ReleaseError("The service does not end.", "End process %s by hand." % state.get("agent"))
        return was

    def _spawn(self) -> None:
        if managers.start(self._layout):
            return
        environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(CODE)), PYTHONNOUSERSITE="1")
        with open(os.path.join(self._layout.run, "supervisor.err"), "wb") as err:
            self._spawned = subprocess.Popen(
                [sys.executable, "-m", "edgewright.device.supervise", self._layout.root],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, cwd="/", env=environment,
                start_new_session=True,
            )  # fmt: skip

    def _last_words(self) -> str:
        with open(os.path.join(self._layout.run, "supervisor.err"), "rb") as err:
            lines = err.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


def healthy(serving: Serving, name: str, timeout_s: float = 20.0) -> bool:
    """Whether exactly this release answers before the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if serving.serves(name):
            return True
        time.sleep(0.01)
    return False


class Prober(object):
    """Asks /healthz again and again while a release is replaced: the longest time without an answer is
    the gap that a client would have seen."""

    @classmethod
    def of(cls, serving: Serving) -> Optional[Prober]:
        """One that watches a service; None where nobody answers."""
        state = serving.state()
        return cls(state["host"], state["port"]) if serving.health() is not None else None

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = reachable(host), port
        self._answers: List[float] = [time.monotonic()]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def gap_ms(self) -> float:
        self._stopped.set()
        self._thread.join()
        times = self._answers
        return 1000.0 * max((b - a for a, b in zip(times, times[1:])), default=0.0)

    def _ask(self) -> None:
        while not self._stopped.is_set():
            if ask_health(self._host, self._port, 1.0) is not None:
                self._answers.append(time.monotonic())
            self._stopped.wait(0.01)
        self._answers.append(time.monotonic())


def ask_health(host: str, port: int, timeout_s: float) -> Optional[Dict[str, Any]]:
    return ask(host, port, "/healthz", timeout_s)


def ask(host: str, port: int, path: str, timeout_s: float, limit: int = 1 << 16) -> Optional[Dict[str, Any]]:
    """The JSON object at a path of the service; None where nobody answers with one in time.

    HTTP/1.0 by hand: http.client takes longer to import than the service takes to answer."""
    deadline, data = time.monotonic() + timeout_s, b""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, host)).encode("ascii"))
            while len(data) <= limit and time.monotonic() < deadline:
                piece = connection.recv(1 << 16)
                if not piece:
                    break
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        answer = json.loads(body.decode("utf-8")) if b" 200 " in head.split(b"\r\n")[0] else None
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def reachable(host: str) -> str:
    """An address to ask for a service that listens on `host`: a wildcard is reached on the loopback."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
