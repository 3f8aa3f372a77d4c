"""One agent process, as its supervisor holds it: its lifeline, its log, whether it is ready."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Mapping, Optional

from edgewright.device import durable, processes, wheels
from edgewright.device.log import Log
from edgewright.device.release import Layout

BEAT_FD = "EDGEWRIGHT_BEAT_FD"
"""Names the pipe into which the agent writes a byte a second, as long as its inference gets on."""
PATIENCE_S = 8.0
"""How long an agent may take to answer its last requests before it is killed."""


class Child(object):
    def __init__(self, layout: Layout, name: str, serve: Mapping[str, Any], listening: socket.socket, log: Log) -> None:
        self.name, self._log = name, log
        folder = layout.folder(name)
        status_in, status_out = os.pipe()
        self.beat, beat_out = os.pipe()
        argv = [sys.executable, "-m", "edgewright.device.agent", folder, "--root", layout.root, "--lifeline"]
        argv += ["--listen-fd", str(listening.fileno()), "--status-fd", str(status_out)]
        argv += [word for key in ("source", "save") if serve.get(key) for word in ("--" + key, str(serve[key]))]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
            # By a variable: the agent is the release's own, and an older one knows no such argument.
            env=dict(environment(folder, layout), **{BEAT_FD: str(beat_out)}),
            pass_fds=(listening.fileno(), status_out, beat_out),
        )  # fmt: skip
        os.close(status_out)
        os.close(beat_out)
        assert self._process.stdout is not None
        self._status, self.output = status_in, self._process.stdout.fileno()
        self.started = time.monotonic()
        self.identity = processes.identity(self._process.pid)
        self.ended = self.exit_noted = self.lasted = False
        self.last_beat: Optional[float] = None  # None for an agent that has never given one: an older release's

    @classmethod
    def taken_over(cls, process: Any, told: Mapping[str, Any], log: Log) -> Child:
        """An agent that the program before this one started (`handed_over` there); it is ready."""
        child = cls.__new__(cls)
        child.name, child._log, child._process, child.beat = told["name"], log, process, told["beat"]
        child.output = process.stdout.fileno()
        child.started = time.monotonic() - told["lived_s"]
        child.identity = processes.identity(process.pid)
        child.ended = child.exit_noted = False
        child.lasted, child.last_beat = told["lasted"], time.monotonic() if told["beats"] else None
        return child

    def handed_over(self) -> Dict[str, Any]:
        """What `taken_over` needs, as JSON; descriptors by number."""
        assert self._process.stdin is not None
        return {
            "name": self.name,
            "pid": self._process.pid,
            "stdin": self._process.stdin.fileno(),
            "stdout": self.output,
            "beat": self.beat,
            "lived_s": time.monotonic() - self.started,
            "lasted": self.lasted,
            "beats": self.last_beat is not None,
        }

    def wait_ready(self, timeout_s: float, interrupted: Callable[[], bool]) -> str:
        """ "" when the agent has said that it is ready; else why it is not."""
        deadline, said = time.monotonic() + timeout_s, b""
        while time.monotonic() < deadline and not interrupted():
            ready = select.select([self._status] + ([] if self.ended else [self.output]), [], [], 0.1)[0]
            if self.output in ready:
                self.pump()
            if self._status in ready:
                piece = os.read(self._status, 4096)
                said += piece
                if not piece:
                    os.close(self._status)
                    return _verdict(said) if said else "it ended with %s before it was ready" % self.status()
        os.close(self._status)
        return "it was not ready after %d s" % timeout_s

    def pump(self) -> None:
        """Moves what the agent printed into the log."""
        piece = os.read(self.output, 1 << 16)
        if piece:
            self._log.add(piece)
        else:
            self.ended = True

    def beats(self) -> None:
        """Takes in the beats that are waiting."""
        while select.select([self.beat], [], [], 0.0)[0]:
            if not os.read(self.beat, 4096):
                return
            self.last_beat = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since its last beat; 0 for an agent that gives none."""
        self.beats()
        return 0.0 if self.last_beat is None else time.monotonic() - self.last_beat

    def alive(self) -> bool:
        return self._process.poll() is None

    def status(self) -> str:
        try:
            code = self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return "its output closed"
        return "signal %d" % -code if code < 0 else "status %d" % code

    def end(self, patience_s: float = PATIENCE_S) -> None:
        """SIGTERM, the rest of its output, SIGKILL."""
        if self.alive():
            self._process.terminate()
        deadline = time.monotonic() + patience_s
        while self.alive() and time.monotonic() < deadline:
            if not self.ended and select.select([self.output], [], [], 0.02)[0]:
                self.pump()
            elif self.ended:
                time.sleep(0.01)
        if self.alive():
            self._process.kill()
        self._process.wait()
        while not self.ended and select.select([self.output], [], [], 0.0)[0]:
            self.pump()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self.beat >= 0:
            os.close(self.beat)
            self.beat = -1
        self.ended = True


def environment(folder: str, layout: Layout) -> Mapping[str, str]:
    """For a program that runs out of a release: its own code and packages, the variables that its runtime needs on this
    device (they came with the installation: nothing here reads a login shell's files), no compiled files left in it."""
    own = durable.read_json(os.path.join(folder, "release.json")) or {}
    wanted = (own.get("serve") or {}).get("environment") or {}
    found = dict(os.environ)
    for name, value in wanted.items():
        value = str(value)
        lists = name in ("PATH", "LD_LIBRARY_PATH") and found.get(name) and found[name] != value
        found[name] = value + ":" + found[name] if lists else value
    more = [wanted["PYTHONPATH"]] if wanted.get("PYTHONPATH") else []
    found.update(
        PYTHONPATH=":".join([os.path.join(folder, "app"), *wheels.folders(layout, own), *more]),
        PYTHONNOUSERSITE="1",
        PYTHONUNBUFFERED="1",
        PYTHONPYCACHEPREFIX=os.path.join(layout.run, "compiled"),
    )
    return found


def _verdict(said: bytes) -> str:
    try:
        answer = json.loads(said.decode("utf-8"))
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return "it said something strange"
    return "" if answer.get("ready") is True else str(answer.get("error", "it said neither ready nor why not"))
