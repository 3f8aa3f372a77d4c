"""The service over HTTP. What comes in is bounded in size, time and number; what goes wrong is
answered in JSON as {"error": {"message", "remedy"}} and never ends the service.

    POST /infer      an image (JPEG, PNG, BMP, WebP) or tensors (.npy, .npz, JSON) → predictions
    GET  /healthz    the release, whether it is ready, since when
    GET  /metrics    Prometheus text
    GET  /readings   windows of telemetry, ?since=SEQ
    GET  /stream     the running source with its boxes, as motion JPEG
    GET  /           a page for people
"""

from __future__ import annotations

import html
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, cast
from urllib.parse import parse_qs, urlsplit

from edgewright.device import image, tensors
from edgewright.device.golden import as_json
from edgewright.device.inference import Busy
from edgewright.device.live import BOUNDARY, listed, parts
from edgewright.device.meter import exposition
from edgewright.device.service import ServiceError

if TYPE_CHECKING:
    from edgewright.device.agent import Agent

BODY_LIMIT = 64 << 20
JSON_LIMIT = 8 << 20
"""A number in JSON takes ten times its text in memory."""
BODIES_LIMIT = 192 << 20
"""Bytes of all bodies that are held at once: a board must not be filled by asking often."""
CONNECTIONS = 64
SILENCE_S = 15.0
"""A client that says nothing for this long is let go."""
BODY_S = 30.0
"""A request's body must be here after this long, however it trickles."""
METHODS = {"/infer": "POST", "/healthz": "GET", "/metrics": "GET", "/readings": "GET", "/stream": "GET", "/": "GET"}
IMAGE_TYPES = ("image/", "application/octet-stream")
logger = logging.getLogger("edgewright")


class Refusal(Exception):
    """An answer other than 200: its status, what is wrong, what to do."""

    def __init__(self, status: int, message: str, remedy: str) -> None:
        super(Refusal, self).__init__(message)
        self.status, self.message, self.remedy = status, message, remedy


class Server(ThreadingHTTPServer):
    """Listens on a socket that it was given, so that a release can follow another on the same port."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, agent: Agent) -> None:
        super(Server, self).__init__(listening.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.agent = listening, agent
        self.socket.setblocking(False)  # another agent on this socket may be quicker to accept
        self.draining = False
        self.busy = 0
        self._guard = threading.Lock()
        self._open = self._held = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setblocking(True)
        with self._guard:
            room = self._open < CONNECTIONS
            self._open += int(room)
        if room:
            super(Server, self).process_request(request, client_address)
        else:
            self._turn_away(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super(Server, self).process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._open -= 1

    def reserve(self, size: int) -> bool:
        """Takes (or, negative, gives back) room for a body; False where there is none left."""
        with self._guard:
            fits = self._held + size <= BODIES_LIMIT
            self._held += size if fits else 0
        return fits

    def count_busy(self, change: int) -> None:
        with self._guard:
            self.busy += change

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a connection broke off", exc_info=True)

    def _turn_away(self, request: Any) -> None:
        body = _error_body("There are too many connections.", "Try again later.")
        head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        try:
            request.settimeout(1.0)
            request.sendall((head + "Content-Length: %d\r\n\r\n" % len(body)).encode("ascii") + body)
        except OSError:
            pass
        self.agent.meter.answered(503)
        self.shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Edgewright"
    sys_version = ""
    timeout = SILENCE_S
    disable_nagle_algorithm = True  # answers are one small piece; waiting for more costs 40 ms

    @property
    def ours(self) -> Server:
        return cast(Server, self.server)

    @property
    def agent(self) -> Agent:
        return self.ours.agent

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def _answer(self) -> None:
        self._unread = bool(self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"))
        self.ours.count_busy(1)
        try:
            self._route()
        except Refusal as refusal:
            self._send(refusal.status, _error_body(refusal.message, refusal.remedy))
        except OSError:  # the client is gone, or silent
            self.close_connection = True
        except Exception:
            logger.exception("a request failed")
            body = _error_body("The service failed on this request.", "See run/agent.log on the device.")
            self._send(500, body)
        finally:
            self.ours.count_busy(-1)

    def _route(self) -> None:
        parts_of = urlsplit(self.path)
        wanted = METHODS.get(parts_of.path)
        if wanted is None:
            raise Refusal(404, "There is nothing at %.100r." % parts_of.path, "Known: %s." % " ".join(sorted(METHODS)))
        if self.command != wanted and not (wanted == "GET" and self.command == "HEAD"):
            raise Refusal(405, "%s takes %s only." % (parts_of.path, wanted), "Use %s." % wanted)
        query = parse_qs(parts_of.query)
        {
            "/infer": lambda: self._infer(),
            "/healthz": lambda: self._send_json(200, self.agent.health()),
            "/metrics": lambda: self._send(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8"),
            "/readings": lambda: self._send_json(200, self._readings(query)),
            "/stream": lambda: self._stream(),
            "/": lambda: self._send(200, self._page(), "text/html; charset=utf-8"),
        }[parts_of.path]()

    def _infer(self) -> None:
        length = self._length()
        if not self.ours.reserve(length):
            raise Refusal(503, "The service holds more requests than it has room for.", "Try again later.")
        try:
            self._infer_from(length)
        finally:
            self.ours.reserve(-length)

    def _infer_from(self, length: int) -> None:
        start = time.perf_counter()
        data = self._body(length)
        sample = self._sample(data)
        decoded = time.perf_counter()
        raw = self.agent.kind not in ("detection", "classification")  # then the arrays are the prediction
        try:
            answer = self.agent.inference.predict(sample, outputs=raw)
        except Busy:
            raise Refusal(503, "The service has more requests than it can answer.", "Try again later.") from None
        except (ServiceError, image.ImageError, tensors.TensorError) as error:
            raise Refusal(400, error.message, error.remedy) from None
        timing = dict(answer.timing_ms, decode=round(1000.0 * (decoded - start), 3))
        timing["total"] = round(timing["total"] + timing["decode"], 3)
        prediction = as_json(answer.prediction)
        predictions = listed(self.agent.labels, self.agent.kind, prediction)
        found = {"predictions": predictions, "timing_ms": timing, "release": self.agent.release["digest"][:12]}
        if self.agent.spec.get("simulated"):
            found["simulated"] = True
        if raw and "application/x-npz" in self.headers.get("Accept", ""):
            self._send(200, tensors.to_npz(answer.outputs), "application/x-npz")
            return
        if raw:
            found["outputs"] = self._as_json(answer.outputs)
        self._send_json(200, found)

    def _as_json(self, arrays: Mapping[str, Any]) -> Dict[str, Any]:
        try:
            return tensors.to_json(arrays)
        except tensors.TensorError as error:
            raise Refusal(406, error.message, error.remedy) from None

    def _length(self) -> int:
        """How long the body is going to be, from its head alone."""
        if self.headers.get("Transfer-Encoding"):
            raise Refusal(411, "The request has no Content-Length.", "Send the body in one piece.")
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise Refusal(411 if not text else 400, "The request has no Content-Length.", "Say how long the body is.")
        length = int(text[:20])
        limit = JSON_LIMIT if self._kind() == "application/json" else BODY_LIMIT
        if length > limit:
            raise Refusal(413, "The body is over %d MiB." % (limit >> 20), "Send a smaller image, or .npy.")
        if length == 0:
            raise Refusal(400, "The body is empty.", "Send an image or a tensor.")
        return length

    def _kind(self) -> str:
        return str(self.headers.get("Content-Type", "application/octet-stream")).split(";")[0].strip().lower()

    def _body(self, length: int) -> bytes:
        data, deadline = bytearray(), time.monotonic() + BODY_S
        while len(data) < length:
            piece = self.rfile.read1(min(1 << 16, length - len(data)))
            if not piece:
                raise Refusal(400, "The body ends after %d of %d bytes." % (len(data), length), "Send all of it.")
            if time.monotonic() > deadline:
                raise Refusal(408, "The body took over %d s." % BODY_S, "Send it faster.")
            data += piece
        self._unread = False
        return bytes(data)

    def _sample(self, data: bytes) -> Any:
        """The decoded sample of a body; its type from Content-Type and, where that is silent, from its first bytes."""
        kind = self._kind()
        try:
            if kind in ("application/x-npy", "application/npy") or data.startswith(b"\x93NUMPY"):
                return self._tensors({"": tensors.from_npy(data)})
            if kind in ("application/x-npz", "application/npz", "application/zip") or data.startswith(b"PK\x03\x04"):
                return self._tensors(tensors.from_npz(data))
            if kind == "application/json":
                return self._tensors(tensors.from_json(data))
            if not kind.startswith(IMAGE_TYPES):
                raise Refusal(415, "The type %.60r is not taken." % kind, "Send an image, .npy, .npz or JSON.")
            if not self.agent.takes_images:
                raise Refusal(415, "This model takes tensors, not images.", "Send .npy, .npz or JSON.")
            return image.decode(data)
        except tensors.TensorError as error:
            raise Refusal(400, error.message, error.remedy) from None
        except image.ImageError as error:
            raise Refusal(415, error.message, error.remedy) from None

    def _tensors(self, arrays: Mapping[str, Any]) -> Any:
        if not self.agent.takes_images:
            return tensors.fit(arrays, self.agent.inference.service.main.inputs)
        if len(arrays) != 1:
            raise tensors.TensorError("This model takes one image.", "Send one array uint8 [height, width, 3].")
        array = next(iter(arrays.values()))
        if array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() <= 255:
            array = array.astype("uint8")  # JSON knows no dtypes
        return tensors.pixels(array)

    def _readings(self, query: Mapping[str, Any]) -> Dict[str, Any]:
        try:
            since = int(query.get("since", ["0"])[0])
        except ValueError:
            raise Refusal(400, "since is not a number.", "Give the last seq you have, or 0.") from None
        return self.agent.readings(since)

    def _metrics(self) -> bytes:
        return exposition(self.agent.meter, self.agent.labels_of_release()).encode("utf-8")

    def _stream(self) -> None:
        live = self.agent.live
        if live is None:
            raise Refusal(404, "This service has no source, so there is no stream.", "Set serve.source.")
        if not live.has_room():
            raise Refusal(503, "There are too many viewers.", "Try again later.")
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=%s" % BOUNDARY)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.ours.count_busy(-1)  # a stream has no end to wait for
            try:
                for part in parts(live.pictures()):
                    self.wfile.write(part)
            finally:
                self.ours.count_busy(1)

    def _page(self) -> bytes:
        health = self.agent.health()
        rows = "".join("<tr><th>%s<td>%s" % (html.escape(k), html.escape(str(v))) for k, v in sorted(health.items()))
        picture = '<img src="/stream" alt="the source with its boxes">' if self.agent.live else ""
        links = " ".join('<a href="%s">%s</a>' % (path, path) for path in ("/healthz", "/metrics", "/readings"))
        takes = "an image" if self.agent.takes_images else "tensors: %s" % self.agent.inference.service.main.inputs
        return (
            "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            "<title>Edgewright</title><style>body{font:15px system-ui;margin:2em;max-width:60em}th{text-align:left;"
            "padding-right:1em}img{max-width:100%%}</style><h1>%s</h1><table>%s</table><p>%s<p>POST /infer takes %s.%s"
            % (html.escape(str(health["name"])), rows, links, html.escape(takes), picture)
        ).encode("utf-8")

    def _send_json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value, ensure_ascii=False).encode("utf-8"))

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        if getattr(self, "_unread", False) or self.ours.draining:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self._headers_buffer.append(b"\r\n" + (b"" if self.command == "HEAD" else body))  # type: ignore[attr-defined]
        self.flush_headers()
        self.agent.meter.answered(status)

    def send_error(self, code: int, message: Optional[str] = None, explain: Optional[str] = None) -> None:
        """What the base class refuses by itself (a malformed request line, headers without end), in our form."""
        self.close_connection = True
        self.command = self.command or "GET"
        self.request_version = "HTTP/1.1"
        text = "The request cannot be read: %s." % (message or self.responses.get(code, ("refused",))[0])
        self._send(code, _error_body(text, "Send plain HTTP/1.1."))

    def handle_expect_100(self) -> bool:
        text = self.headers.get("Content-Length", "0")
        if text.isdigit() and int(text[:20]) > BODY_LIMIT:
            return True  # do_POST answers 413 and the body is never sent
        return super(Handler, self).handle_expect_100()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s " + format, self.address_string(), *args)


def _error_body(message: str, remedy: str) -> bytes:
    return json.dumps({"error": {"message": message, "remedy": remedy}}, ensure_ascii=False).encode("utf-8")
