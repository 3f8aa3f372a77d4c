"""Channels of the tests: devices that poll, and what stands between them and the folder or the registry."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgewright.device import channel
from edgewright.pipeline.registry import Reference, parse_reference

SOURCE = Path(channel.__file__).parents[2]


class Static(SimpleHTTPRequestHandler):
    """A web server's folder; what it does wrong is said by the server it belongs to."""

    server: Shelf

    def do_GET(self) -> None:
        shelf, path = self.server, Path(self.translate_path(self.path))
        begin = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1]) if shelf.ranges else 0
        shelf.asked.append((self.path, begin))
        if shelf.misbehave is not None and shelf.misbehave(self):
            return
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        data = data[begin:]
        if shelf.cut_at and len(data) > shelf.cut_at:
            data, shelf.cut_at = data[: shelf.cut_at], 0
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        return


class Shelf(ThreadingHTTPServer):
    """`to` is what is published to, `url` what devices ask."""

    ranges = True
    cut_at = 0
    misbehave: Callable[[Any], bool] | None = None

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), partial(Static, directory=str(folder)))
        self.folder, self.asked = folder, list[tuple[str, int]]()
        self.to: Path | Reference = folder
        self.url = f"http://{host}:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        return


class Passing(BaseHTTPRequestHandler):
    """A request handed on to a registry, and its answer back."""

    server: Front

    def do_GET(self) -> None:
        front, given = self.server, self.headers.get("Authorization", "")
        begin = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        front.asked.append((self.path, begin))
        front.shown.append(given)
        if front.misbehave is not None and front.misbehave(self):
            return
        if self.path.startswith("/token"):
            if front.login and given != f"Basic {base64.b64encode(front.login.encode()).decode()}":
                self.send_error(401)
                return
            self._answer(200, [], b'{"token": "%s"}' % front.token.encode())
            return
        headers = {name: self.headers[name] for name in ("Accept", "Range", "Authorization") if name in self.headers}
        connection = http.client.HTTPConnection(front.host, timeout=20)
        connection.request("GET", self.path, headers=headers)
        answer = connection.getresponse()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("date", "content-length")]
        self._answer(answer.status, kept, answer.read())
        connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        front = self.server
        if front.cut_at and len(body) > front.cut_at:
            body, front.cut_at = body[: front.cut_at], 0
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


class Front(ThreadingHTTPServer):
    """What devices ask in place of the registry at `host`, which is published to; `shown` is each Authorization. Under
    /token it gives `token` to who shows `login` (name:password)."""

    cut_at = 0
    misbehave: Callable[[Any], bool] | None = None
    login = token = ""

    def __init__(self, host: str, repository: str = "team/channel") -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.host, self.asked, self.shown = host, list[tuple[str, int]](), list[str]()
        self.to = parse_reference(f"{host}/{repository}")
        self.own = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"oci://{self.own}/{repository}"

    def handle_error(self, *_: Any) -> None:
        return


@contextlib.contextmanager
def serving(server: Shelf | Front) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield
        server.shutdown()


def run(module: str, *words: str | Path, environment: dict[str, str] | None = None) -> tuple[int, Any]:
    argv = [sys.executable, "-m", module, *map(str, words)]
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE), **(environment or {})}
    done = subprocess.run(argv, input="{}", capture_output=True, text=True, env=surroundings, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def poll(root: Path, url: str, *words: str | Path, **named: Any) -> dict[str, Any]:
    code, told = run("edgewright.device.channel", root, url, "--channel", "stable", "--pause", "0.01", *words, **named)
    assert (code == 0) == (told["outcome"] in ("installed", "current", "kept")), told
    return dict(told)
