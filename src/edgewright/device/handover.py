"""A supervisor becomes the one of another version, in place: same process, same listening socket, same agent.

The device programs are versioned (tools/<digest>), and an installer of another version wishes for a supervisor of its
own. The running one executes it over itself (execve(2)) and leaves it the socket, and the agent with its pipes; so no
request is lost and nobody who looks after the process (systemd, an installer) sees it end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional

from edgewright.device import notify
from edgewright.device.child import Child
from edgewright.device.log import Log
from edgewright.device.release import Layout
from edgewright.device.serving import version_of

VARIABLE = "EDGEWRIGHT_HANDOVER"
IMPORT_S = 30.0
HELD = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
"""Signals that wait until the new program can take them: by default they would end it."""


class Inheritance(NamedTuple):
    """What one supervisor leaves the next: the socket that listens and what was asked for it, and the agent."""

    listening: Optional[socket.socket]
    bound: Any
    serving: Optional[Child]


def become(
    layout: Layout,
    code: str,
    left: Inheritance,
    notifier: notify.Notifier,
    log: Log,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Executes the supervisor in `code` (…/tools/<digest>/edgewright/device) over this one. Comes back only where that
    cannot be, or where this one is `stopping`: then everything is as it was."""
    tools = os.path.dirname(os.path.dirname(code))
    if not version_of(code) or os.path.dirname(tools) != os.path.join(os.path.realpath(layout.root), "tools"):
        return
    environment = dict(os.environ, PYTHONPATH=":".join([tools, *_others(layout)]), PYTHONNOUSERSITE="1")
    argv = [sys.executable, "-m", "edgewright.device.supervise", layout.root]
    if not _imports(environment, stopping):
        if stopping():
            return
        log.write("the supervisor of %s cannot be run; this one goes on" % version_of(code))
        return
    told = {"listening": left.listening.fileno() if left.listening else None, "bound": left.bound}
    told["serving"] = left.serving.handed_over() if left.serving and left.serving.alive() else None
    environment[VARIABLE] = json.dumps(told)
    environment.update(notifier.environment())
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    if stopping():  # the other program would not know of it; what comes from now on waits for that one
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        return
    log.write("handed over to the supervisor of %s" % version_of(code))
    for descriptor in _descriptors(told):
        os.set_inheritable(descriptor, True)
    try:
        os.execve(sys.executable, argv, environment)
    except OSError as error:
        for descriptor in _descriptors(told):
            os.set_inheritable(descriptor, False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        log.write("the handing over failed: %s" % error)


def inherited(log: Log) -> Inheritance:
    """What a supervisor before left to this process; nothing where it was started anew."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return Inheritance(None, None, None)
    told = json.loads(text)
    for descriptor in _descriptors(told):
        os.set_inheritable(descriptor, False)
    listening = socket.socket(fileno=told["listening"]) if told["listening"] is not None else None
    bound = tuple(told["bound"]) if told["bound"] else None
    child = told["serving"]
    serving = Child.taken_over(Adopted(child["pid"], child["stdin"], child["stdout"]), child, log) if child else None
    return Inheritance(listening, bound, serving)


class Adopted(object):
    """A child of this process that a program before it started: as much of subprocess.Popen as an agent needs."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.returncode: Optional[int] = None
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb", 0)

    def poll(self) -> Optional[int]:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0
                return 0
            if pid:
                self.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.returncode

    def wait(self, timeout: Optional[float] = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("agent", timeout or 0.0)
            time.sleep(0.01)
        return self.returncode or 0

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, sign: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sign)


def _imports(environment: Mapping[str, str], stopping: Callable[[], bool]) -> bool:
    """Whether the other supervisor can be loaded at all, tried before there is no way back."""
    argv, deadline = [sys.executable, "-c", "import edgewright.device.supervise"], time.monotonic() + IMPORT_S
    try:
        trial = subprocess.Popen(argv, env=dict(environment), stdin=subprocess.DEVNULL)
    except OSError:
        return False
    while trial.poll() is None and time.monotonic() < deadline and not stopping():
        time.sleep(0.01)
    if trial.poll() is None:
        trial.kill()
    return trial.wait() == 0


def _others(layout: Layout) -> Iterator[str]:
    """What else is on the path: a runtime's own packages."""
    for folder in os.environ.get("PYTHONPATH", "").split(":"):
        if folder and folder != layout.root + "/program" and not re.search(r"/tools/[0-9a-f]{12}/?$", folder):
            yield folder


def _descriptors(told: Dict[str, Any]) -> Iterator[int]:
    if told["listening"] is not None:
        yield told["listening"]
    for name in ("stdin", "stdout", "beat") if told["serving"] else ():
        yield told["serving"][name]
