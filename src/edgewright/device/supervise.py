"""The supervisor: keeps the agent of the current release alive. `python -m edgewright.device.supervise <root>`

It owns the listening socket, so a port is never lost between two agents and a request that comes in
between waits instead of failing. It follows the `current` link: on SIGHUP it looks again, starts the
agent of the new release, and ends the old one only when the new one says that it is ready. What a kill
of the installer leaves behind is therefore always one whole release that serves. A release that does not
last is left for the one before (boot_counter), an agent whose inference hangs is started again, and
systemd, where it is, hears of all that (notify).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from edgewright.device import durable, handover, notify, processes, reserve
from edgewright.device.boot_counter import BootCounter, alone
from edgewright.device.child import Child
from edgewright.device.log import Log
from edgewright.device.recovery import keep
from edgewright.device.release import Layout
from edgewright.device.serving import BUSY, CODE
from edgewright.device.sockets import listen, take_over

FIRST_PORT, PORTS = 8080, 200
READY_S = 180.0
"""How long a model may load."""
PAUSES_S = (0.2, 30.0)
"""Waits between restarts: the first, doubling up to the second."""
FAILURES, FIRST_FAILURES = 5, 2
"""Starts that fail in a row before the supervisor gives up and says so; fewer where an installer waits for it."""
RETRY_S = 60.0
"""Having given up, it still tries this often: a driver may come up late, a camera may be plugged in again."""
STEADY_S = 20.0
"""An agent that lived this long (and its bake time) counts as having started well."""
SILENT_S = 60.0
"""An agent without a beat for so long hangs, unless `serve.watchdog_s` says otherwise."""
AGREE_S = 30.0
"""So long another release may serve than `current` names with nobody at work: the next host ends an operation that was
cut, and tells of it, but a device that none comes to has to do it by itself."""


class Supervisor(object):
    def __init__(self, root: str) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.log = Log(self.layout.log)
        self.stopping = self.again = False
        self.listening: Optional[socket.socket]
        self.bound: Any  # what (host, port) was asked for
        self.serving: Optional[Child]
        self.failures, self.not_before = 0, 0.0
        self.failed, self.was_ready = "", False  # why nothing serves, and nothing is tried for a while
        self.refused = ""  # a release that did not start; the one before it serves on
        self.differs_since: Optional[float] = None
        self.paused_by: Any = None
        self.token: Any = None  # of the last wish that was read; who wished waits for it in the state
        self.asked_by: Any = None  # who wished it; as long as that process lives, it judges what current does
        self.retry_at = 0.0
        self.told = ("starting", "")
        self.boots, self.notifier = BootCounter(self.layout), notify.from_environment()
        self.listening, self.bound, self.serving = handover.inherited(self.log)
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)

    def run(self) -> int:
        signal.set_wakeup_fd(self._wake_out)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_again)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handover.HELD)
        self.again = True
        self._finish_revert()
        current = self.layout.linked(self.layout.current)
        if current and self.serving is None:
            self._count(self.boots.lost, current)
        while not self.stopping:
            if self.paused_by is not None and not processes.alive(self.paused_by):
                self.again = True  # whoever paused the service was killed before it could end the pause
            if self.again:
                self.again = False
                self._forget_failures()
                self._follow()
            self._look_after()
            if durable.read_json(self.layout.state) is None:
                self._tell(*self.told)  # who finds no state takes nobody for alive, and starts a second supervisor
            self._feed_watchdog()
            self._sleep(0.5)
        self.notifier.stopping()
        self._rest()
        self._tell("stopped")
        return 0

    def _on_stop(self, *_: Any) -> None:
        self.stopping = True

    def _on_again(self, *_: Any) -> None:
        self.again = True

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, the agent ends, or the time is over."""
        watched = [self._wake_in] + ([self.serving.output] if self.serving and not self.serving.ended else [])
        for descriptor in select.select(watched, [], [], seconds)[0]:
            if descriptor == self._wake_in:
                os.read(self._wake_in, 512)
            elif self.serving:
                self.serving.pump()

    def _follow(self) -> None:
        """Makes what `current` names the release that serves."""
        control = durable.read_json(self.layout.control) or {}  # before `current`, which is changed before it is wished
        name = self.layout.linked(self.layout.current)
        code = control.get("code")
        if isinstance(code, str) and code != CODE and processes.alive(control.get("by")):
            left = handover.Inheritance(self.listening, self.bound, self.serving)
            handover.become(self.layout, code, left, self.notifier, self.log, lambda: self.stopping)
        if name and control.get("token") != self.token and processes.alive(control.get("by")):
            self._count(self.boots.wanted, name)
        self.token, paused = control.get("token"), bool(control.get("paused")) and processes.alive(control.get("by"))
        self.asked_by = control.get("by")
        self.paused_by = control.get("by") if paused else None
        if name is None or paused:
            self._rest()
            self._tell("paused" if paused else "empty")
            return
        if self.serving and self.serving.name == name and self.serving.alive():
            self._tell("serving")
            return
        if self._go_back(name, "the device or its supervisor ended with it"):
            name = self.layout.linked(self.layout.current) or name
            if self.serving and self.serving.name == name and self.serving.alive():
                self._tell("serving")
                return
        self._start(name)

    def _rest(self) -> None:
        """Ends the agent because somebody wishes it."""
        if self.serving and self.serving.alive():
            self._count(self.boots.forgive, self.serving.name)
        self._end(self.serving)
        self.serving = None

    def _look_after(self) -> None:
        """Starts the agent again when it has ended, later each time, and not for ever."""
        name = self.layout.linked(self.layout.current)
        if name is None or (self.serving is None and not self.failed):
            return  # there is none, or it rests because somebody wishes it
        if self.serving is not None and self.serving.alive():
            self._look_at(self.serving)
            self._agree(self.serving, name)
            return
        if self.failed:
            if time.monotonic() < self.retry_at or processes.alive(self.asked_by):
                return
            self._go_back(name, self.failed)
            name, self.failed = self.layout.linked(self.layout.current) or name, ""
        elif self.serving is not None and name == self.refused:
            name = self.serving.name  # nobody has switched back yet: the old one goes on
        if self.serving is not None and self.serving.exit_noted is False:
            self.serving.exit_noted = True
            lived = time.monotonic() - self.serving.started
            self.failures = 1 if lived > STEADY_S else self.failures + 1
            said = "ended with %s" % self.serving.status()
            self.log.write("the agent of %s %s" % (self.serving.name, said))
            if self.serving.lasted and self.serving.name == name:
                self._count(self.boots.ended, name)
            if self._back_off("it " + said):
                name = self.layout.linked(self.layout.current) or name
        if not self.failed and time.monotonic() >= self.not_before:
            self._start(name)

    def _look_at(self, child: Child) -> None:
        """Whether an agent that lives also lasts, and gets on."""
        serve = (self.layout.describe(child.name) or {}).get("serve") or {}
        if not child.lasted and time.monotonic() - child.started > max(STEADY_S, float(serve.get("bake_s") or 0)):
            child.lasted = True
            self._count(self.boots.lasted, child.name)
        limit = float(serve.get("watchdog_s") or SILENT_S)
        if child.silent_s() > limit:
            self.log.write("the agent of %s hangs: no inference got on for %d s" % (child.name, limit))
            child.end(1.0)

    def _agree(self, child: Child, name: str) -> None:
        """Where `current` names another release than the one that serves, and nobody is there to see to it: an
        operation that was cut is undone for what serves; else `current` is followed."""
        if child.name == name or processes.alive(self.asked_by):
            self.differs_since = None
            return
        now = time.monotonic()
        if self.differs_since is None:
            self.differs_since = now
        if now - self.differs_since < AGREE_S:
            return
        self.differs_since = None
        try:
            with alone(self.layout) as free:
                if not free:
                    return
                kept = keep(self.layout, child.name)
        except OSError as error:
            self.log.write("%s serves, and cannot be made current: %s" % (child.name, error))
            return
        if not kept and name == self.refused:
            return  # it has been tried
        self.log.write("%s serves, and %s is current: %s" % (child.name, name, "kept" if kept else "followed"))
        if kept:
            self._forget_failures()
            self._tell("serving")
        else:
            self.again = True

    def _forget_failures(self) -> None:
        self.failures, self.failed, self.refused, self.was_ready, self.not_before = 0, "", "", False, 0.0

    def _feed_watchdog(self) -> None:
        """systemd's watchdog is fed by the agent's inference, or by a rest that somebody wished."""
        if self.serving is None or (self.serving.alive() and self.serving.silent_s() < SILENT_S):
            self.notifier.ping()

    def _waiting(self) -> bool:
        """Asked while an agent loads, which is bounded itself: whether to stop waiting."""
        self.notifier.ping()
        return self.stopping

    def _go_back(self, name: str, reason: str) -> bool:
        """To the release before, where this one has used up its starts and no installer is there to judge it."""
        said = "" if processes.alive(self.asked_by) else self.boots.used_up(name, reason)
        if not said:
            return False
        try:
            back = self.boots.revert(name, said)
            if back is None:
                self.boots.note(name, reason)
        except OSError as error:
            self.log.write("the release before cannot be brought back: %s" % error)
            return False
        if back is not None:
            self.log.write("back to %s: %s" % (back, said))
            self._forget_failures()
            self._tell("restarting", said)
        return back is not None

    def _finish_revert(self) -> None:
        try:
            with alone(self.layout) as free:
                if free:
                    self.boots.finish()
        except OSError as error:
            self.log.write("the release before cannot be brought back: %s" % error)

    def _count(self, count: Callable[[str], None], name: str) -> None:
        """A disk that is full costs the counter, not the service."""
        try:
            count(name)
        except OSError as error:
            self.log.write("starts cannot be counted: %s" % error)

    def _start(self, name: str) -> None:
        """Starts the agent of a release beside the one that serves, and takes that one away after."""
        before = self.serving
        old = before if before is not None and before.alive() else None
        serve = (self.layout.describe(name) or {}).get("serve") or {}
        try:
            listening, bound = self._socket(serve)
        except OSError as error:
            said = error.strerror or error
            self._fail(name, "port %s cannot be used: %s" % (serve.get("port") or "8080 on", said))
            return
        if old is None:
            self._listen(listening, bound)
        self._tell("starting")
        self._count(self.boots.starting, name)
        try:
            child = Child(self.layout, name, serve, listening, self.log)
        except OSError as error:
            self._unused(listening)
            self._fail(name, "the agent cannot be started: %s" % error)
            return
        reason = child.wait_ready(READY_S, self._waiting)
        if not reason:
            try:
                take_over(listening, self.listening)
            except OSError as error:
                reason = "it cannot listen: %s" % (error.strerror or error)
        if not reason:
            child.started = time.monotonic()  # what takes long to load has not lasted by that
            self.serving, self.was_ready = child, True
            self._end(before)
            self._listen(listening, bound)
            self._tell("serving")
            if self.layout.linked(self.layout.current) not in (name, self.refused):
                self.again = True  # somebody has gone back meanwhile, and been killed before they could say so
            return
        child.end(1.0)
        if self.stopping:
            self._count(self.boots.forgive, name)
            self._unused(listening)
        elif old is not None:
            self._unused(listening)
            self._refuse(name, reason)  # though the old one may have died meanwhile: it is what goes on
        else:
            self._end(before)
            self.serving = child
            child.exit_noted = True
            self.failures += 1
            self.log.write("%s did not start: %s" % (name, reason))
            self._back_off(reason)

    def _back_off(self, reason: str) -> bool:
        """Lets time pass before the next start, more each time; True where that is one of the release before."""
        assert self.serving is not None
        if self._go_back(self.serving.name, reason):
            return True
        waited_for = processes.alive(self.asked_by) and not self.was_ready
        if self.failures >= (FIRST_FAILURES if waited_for else FAILURES):
            others = self.boots.failed()
            others.pop(self.serving.name, None)
            previous = self.layout.linked(self.layout.previous)
            also = "; %s failed before: %s" % (previous, others[previous]) if previous in others else ""
            self._fail(self.serving.name, reason + also)
            return False
        pause = min(PAUSES_S[0] * 2 ** (self.failures - 1), PAUSES_S[1])
        self.not_before = time.monotonic() + pause
        self._tell("restarting", reason)
        return False

    def _fail(self, name: str, reason: str) -> None:
        """Gives up for a while, unless another release serves."""
        if self.serving is not None and self.serving.alive():
            self._refuse(name, reason)
            return
        self.log.write("given up: %s" % reason)
        self.failed, self.retry_at = reason, time.monotonic() + RETRY_S
        if self.listening is not None:
            self.listening.close()  # who asks now is refused at once instead of waiting
            self.listening = None
        self._tell("failed", reason)

    def _refuse(self, name: str, reason: str) -> None:
        """The release before goes on serving until somebody wishes this one anew; an installer decides what then."""
        self.log.write("%s does not start: %s" % (name, reason))
        self.refused = name
        self._tell("failed", reason)

    def _socket(self, serve: Mapping[str, Any]) -> Tuple[socket.socket, Any]:
        """The socket for these settings, and what it is bound to: the one that is open where it fits."""
        host, port = str(serve.get("host") or "127.0.0.1"), serve.get("port")
        if self.listening is not None and self.bound is not None and self.bound[0] == host:
            if port is None or port == self.listening.getsockname()[1]:
                return self.listening, self.bound
        opened = listen(host, int(port), self.listening) if port else self._first_free(host)
        return opened, (host, port)

    def _first_free(self, host: str) -> socket.socket:
        last = (durable.read_json(self.layout.state) or {}).get("port")
        wanted = list(range(FIRST_PORT, FIRST_PORT + PORTS))
        if isinstance(last, int) and 0 < last < 65536:
            wanted.insert(0, last)
        problem = OSError("no port is free")
        for port in wanted:
            try:
                return listen(host, port, self.listening)
            except OSError as error:
                problem = error
        raise problem

    def _listen(self, listening: socket.socket, bound: Any) -> None:
        """From now on this socket is the service's; the one before, if it is another, is closed."""
        if self.listening is not None and self.listening is not listening:
            self.listening.close()
        self.listening, self.bound = listening, bound

    def _unused(self, listening: socket.socket) -> None:
        if listening is not self.listening:
            listening.close()

    def _end(self, child: Optional[Child]) -> None:
        if child is not None:
            child.end()

    def _tell(self, phase: str, reason: str = "") -> None:
        """What others may know, in run/state.json."""
        self.told = (phase, reason)
        port = self.listening.getsockname()[1] if self.listening is not None else None
        host = self.bound[0] if self.bound else None
        known = durable.read_json(self.layout.state) or {}
        state: Dict[str, Any] = {
            "supervisor": processes.identity(os.getpid()),
            "agent": self.serving.identity if self.serving and self.serving.alive() else None,
            "release": self.serving.name if self.serving and self.serving.alive() else None,
            "host": host,
            "port": port or known.get("port"),
            "phase": phase,
            "reason": reason,
            "failures": self.failures,
            "reverted": self.boots.reverted(),
            "token": self.token,
            "code": CODE,
            "hands_over": True,  # it can become another version of itself
        }
        try:
            reserve.write_json(self.layout, self.layout.state, state)
        except OSError as error:
            self.log.write("state.json cannot be written: %s" % error)
        told = "%s %s %s" % (phase, self.serving.name if self.serving else "", reason)
        self.notifier.ready(told) if phase in ("serving", "paused", "empty") else self.notifier.status(told)


def main(argv: List[str]) -> int:
    if len(argv) != 1:
        print("usage: python -m edgewright.device.supervise <device folder>", file=sys.stderr)
        return 2
    layout = Layout(argv[0])
    layout.make()
    lock = open(os.path.join(layout.run, "supervisor.lock"), "ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("a supervisor is at work here already", file=sys.stderr)
        return BUSY
    return Supervisor(argv[0]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
