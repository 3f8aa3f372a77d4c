"""Registries of the tests: Debian's docker-registry on a free port of the loopback, and one that we can make fail."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@contextlib.contextmanager
def docker_registry(folder: Path, more: str = "") -> Iterator[str]:
    """`127.0.0.1:port` of a registry that keeps its data in `folder`, with `more` lines of configuration."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("there is no docker-registry: sh tools/system-packages.sh")
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = folder / "registry.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\nhttp: {{addr: '{host}'}}\n{more}"
    )
    process = subprocess.Popen([program, "serve", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(urllib.error.URLError):
                with contextlib.suppress(urllib.error.HTTPError):  # one that asks for a name answers, too
                    urllib.request.urlopen(f"http://{host}/v2/", timeout=2).close()
                break
            assert process.poll() is None and time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.05)
        yield host
    finally:
        process.kill()
        process.wait()


class FlakyRegistry:
    """Serves one blob, and cuts every answer after so many bytes; asks for a token if `token` is set; may ignore
    ranges, give other bytes, or send to another place. `asked` notes the Range and Authorization of each request."""

    def __init__(self, content: bytes) -> None:
        self.content, self.cut, self.token, self.ranges, self.away = content, len(content), "", True, ""
        self.asked: list[tuple[str, str]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry._answer(self)

            def log_message(self, format: str, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        authorization = request.headers.get("Authorization", "")
        if request.path.startswith("/token"):
            body = b'{"token": "%s"}' % self.token.encode()
            return self._send(request, 200, body, {})
        self.asked.append((request.headers.get("Range", ""), authorization))
        if self.token and authorization != f"Bearer {self.token}":
            realm = f'Bearer realm="http://{self.host}/token",service="s",scope="repository:a/b:pull"'
            return self._send(request, 401, b"", {"WWW-Authenticate": realm})
        if self.away:
            return self._send(request, 307, b"", {"Location": self.away})
        wanted = request.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        headers = {"Content-Range": f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"} if start else {}
        return self._send(request, 206 if start else 200, self.content[start:], headers)

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):
            request.wfile.write(body[: self.cut])
