"""The agent: one release, served. `python -m edgewright.device.agent <release folder> [options]`

It loads first and listens then: the supervisor keeps the old release answering until this one says
that it is ready. Standard input is a lifeline: when it ends, whoever started us is gone, and so are we.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Dict, List, Mapping, Optional

from edgewright.device import durable, golden, image
from edgewright.device.http import Server
from edgewright.device.inference import Inference
from edgewright.device.live import Live
from edgewright.device.meter import Meter
from edgewright.device.native import open_service
from edgewright.device.release import OWN_FILE
from edgewright.device.service import ServiceError, inside
from edgewright.device.sockets import listen
from edgewright.device.spool import Spool

WINDOW_S = 1.0
STUCK_S = 60.0
"""An inference that takes longer hangs, unless `serve.watchdog_s` says otherwise."""
BEAT_FD = "EDGEWRIGHT_BEAT_FD"
QUIET_S = 10.0
"""A window in which nothing happened is kept only this often: memory and temperature still matter."""
DRAIN_S = 5.0
logger = logging.getLogger("edgewright")


class Agent(object):
    """Everything a request may ask for. `root` is the device folder."""

    def __init__(self, folder: str, root: str) -> None:
        self.folder, self.root = os.path.realpath(folder), root
        self.service = open_service(self.folder)
        self.spec = self.service.spec
        self.kind = str(self.spec["task"].get("kind"))
        self.labels = [str(label) for label in self.spec["task"].get("labels") or []]
        self.takes_images = bool(self.spec["task"].get("preprocess"))
        own = durable.read_json(os.path.join(self.folder, OWN_FILE)) or {}
        self.release = {"number": own.get("number", 0), "digest": str(own.get("digest", ""))}
        reference = durable.read_json(os.path.join(self.folder, "reference.json")) or {}
        edges = {name: entry["edges"] for name, entry in (reference.get("signals") or {}).items()}
        self.meter = Meter(edges)
        self.spool = Spool(os.path.join(root, "spool"))
        self.inference = Inference(self.service, self.meter)
        self.live: Optional[Live] = None
        self._last_kept = 0.0
        self._window = threading.Lock()
        self._stuck_s = float((own.get("serve") or {}).get("watchdog_s") or STUCK_S)
        self._beat_fd = int(os.environ.pop(BEAT_FD, None) or -1)
        if self._beat_fd >= 0:
            os.set_blocking(self._beat_fd, False)
        if self.takes_images:
            image.opencv()  # imported now, or the first request waits for it
        for entry in golden.read_golden(self.folder)[:1]:
            self.inference.warm(golden.load_sample(inside(self.folder, entry["file"])))

    def health(self) -> Dict[str, Any]:
        found = {
            "ready": True,
            "name": self.spec.get("name", ""),
            "family": self.spec.get("family", ""),
            "precision": self.spec.get("precision", ""),
            "task": self.kind,
            "release": self.release["digest"],
            "number": self.release["number"],
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self.meter.started, 3),
            "simulated": bool(self.spec.get("simulated", False)),
        }
        if self.live is not None:
            found["source"] = dict(self.live.state)
        return found

    def labels_of_release(self) -> Dict[str, Any]:
        return {
            "digest": self.release["digest"],
            "number": self.release["number"],
            "name": self.spec.get("name", ""),
            "precision": self.spec.get("precision", ""),
            "simulated": str(bool(self.spec.get("simulated", False))).lower(),
        }

    def readings(self, since: int) -> Dict[str, Any]:
        """Readings above `since`, the open window's included; `last` tells a reader whose number is
        beyond it that the spool began anew."""
        self.close_window(asked=True)
        return {"readings": self.spool.read(since), "last": self.spool.last_seq(), "release": self.release["digest"]}

    def beat(self) -> None:
        """Tells the supervisor that inference gets on. Not while one is stuck, nor when this thread is: then the
        supervisor hears nothing, and starts the agent again."""
        if self._beat_fd >= 0 and self.inference.stuck_s() < self._stuck_s:
            try:
                os.write(self._beat_fd, b".")
            except OSError:  # a pipe that is full, or a supervisor that is gone: the lifeline sees to that
                pass

    def close_window(self, asked: bool = False) -> None:
        with self._window:
            self._close_window(asked)

    def _close_window(self, asked: bool) -> None:
        now = time.monotonic()
        quiet = not self.meter.pending()
        if quiet and (asked or now - self._last_kept < QUIET_S):
            return
        reading = dict(self.meter.close_window(), release=self.release["digest"])
        self._last_kept = now
        try:
            self.spool.append(reading)
        except OSError as error:  # a full disk costs readings, not the service
            logger.error("a reading is lost: %s", error)


def serve(agent: Agent, listening: socket.socket, stopped: threading.Event) -> None:
    """Answers until `stopped`, then lets running requests end."""
    server = Server(listening, agent)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    agent.beat()
    while not stopped.wait(WINDOW_S):
        agent.beat()
        agent.close_window()
    server.draining = True
    server.shutdown()
    deadline = time.monotonic() + DRAIN_S
    while server.busy and time.monotonic() < deadline:
        time.sleep(0.01)
    if agent.live is not None:
        agent.live.stop()
    agent.close_window()


def _follow_lifeline(stopped: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stopped.set()


def _say(descriptor: Optional[int], value: Mapping[str, Any]) -> None:
    if descriptor is not None:
        os.write(descriptor, json.dumps(value).encode("utf-8") + b"\n")
        os.close(descriptor)


def _arguments(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="edgewright.device.agent")
    parser.add_argument("folder", help="a release or a service folder")
    parser.add_argument("--root", help="the device folder; without it, run/ beside the release is used")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--source", default="", help="camera:0, a folder, a video, rtsp://…")
    parser.add_argument("--save", default="", help="folder for annotated images of the source")
    parser.add_argument("--listen-fd", type=int, help="a socket that listens already")
    parser.add_argument("--status-fd", type=int, help="where one JSON line says ready or why not")
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input ends")
    return parser.parse_args(argv)


def main(argv: List[str]) -> int:
    options = _arguments(argv)
    logging.basicConfig(format="%(asctime)sZ %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.Formatter.converter = time.gmtime
    stopped = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopped.set())
    if options.lifeline:
        threading.Thread(target=_follow_lifeline, args=(stopped,), daemon=True).start()
    root = os.path.abspath(options.root or os.path.join(options.folder, "run"))
    try:
        os.makedirs(os.path.join(root, "run"), exist_ok=True)
        agent = Agent(options.folder, root)
        listening = _listening(options)
        if options.source:
            agent.live = Live(options.source, agent.inference, os.path.join(root, "run"), options.save or None)
    except Exception as error:
        logger.exception("the release cannot be served")
        message = getattr(error, "message", None) or "%s: %s" % (type(error).__name__, error)
        _say(options.status_fd, {"error": str(message)[:1000]})
        return 3
    host, port = listening.getsockname()[:2]
    logger.info("release %s serves on http://%s:%d", agent.release["digest"][:12] or "(none)", host, port)
    if agent.live is not None:
        agent.live.start()
    _say(options.status_fd, {"ready": True})
    serve(agent, listening, stopped)
    return 0


def _listening(options: argparse.Namespace) -> socket.socket:
    if options.listen_fd is not None:
        return socket.socket(fileno=options.listen_fd)
    try:
        return listen(options.host, options.port)
    except OSError as error:
        raise ServiceError("Port %d cannot be used: %s." % (options.port, error.strerror), "Choose another.") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
