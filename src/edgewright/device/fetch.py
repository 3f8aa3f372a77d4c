"""Files of a folder behind an address: https://, http:// or file://. Whoever answers is not believed: sizes are
bounded, so is time, and every file is compared with its digest by the caller or here.

A download that was cut goes on where it was, if the server understands ranges (RFC 9110, section 14), else from the
start. Certificates are verified; an answer leads to the same scheme, or from http to https, and to no other.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from edgewright.device import durable
from edgewright.device.release import ReleaseError

SLOWEST = 4 << 10
"""Bytes a second; a server that gives fewer is given up on."""
BLOCK = 64 << 10
Found = TypeVar("Found")


class Unreachable(ReleaseError):
    """The folder did not answer, or not as it should; later it may."""

    def __init__(self, reason: str, remedy: str = "It is tried again at the next poll; look at the network.") -> None:
        super(Unreachable, self).__init__(reason, remedy)


class Again(Exception):
    """What another try may mend."""


class Folder(object):
    """`timeout_s` is for one silence of the server, `attempts` are made with pauses of `pause_s`, twice that, ….
    `received` counts the bytes of all bodies. ReleaseError for an address of another kind."""

    def __init__(
        self, url: str, timeout_s: float = 30.0, attempts: int = 4, pause_s: float = 1.0, ca: Optional[str] = None
    ) -> None:
        if urllib.parse.urlsplit(url).scheme not in ("https", "http", "file"):
            raise ReleaseError(
                "%.200s is no folder that can be asked." % url, "Give https://, http://, file:// or oci://."
            )
        self._url = url.rstrip("/") + "/"
        self._timeout_s, self._attempts, self._pause_s = timeout_s, attempts, pause_s
        context = ssl.create_default_context(cafile=ca)
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Redirects())
        self.received = 0

    def small(self, name: str, limit: int) -> Optional[bytes]:
        """A file of at most `limit` bytes; None where there is none. Unreachable where there is no whole answer."""

        def once() -> Optional[bytes]:
            return self._whole(name, limit)

        return self._tried(once)

    def large(self, name: str, digest: str, size: int, path: str) -> None:
        """Writes the file with this sha256 and size to `path`, whole and on the disk, or nothing; `path`.part is what a
        try that was cut has left."""

        def once() -> None:
            self._download(name, size, path + ".part")
            if durable.sha256_of(path + ".part") != digest:
                durable.remove(path + ".part")
                raise Again("%s arrived damaged" % name)
            os.replace(path + ".part", path)

        self._tried(once)

    def _whole(self, name: str, limit: int) -> Optional[bytes]:
        with self._open(name, 0) as (answer, _):
            return None if answer is None else b"".join(self._blocks(answer, name, limit))

    def _download(self, name: str, size: int, partial: str) -> None:
        there = os.path.getsize(partial) if os.path.exists(partial) else 0
        if there > size:
            there = 0
        if there == size and size:
            return  # only its digest had not been looked at
        with self._open(name, there) as (answer, begins):
            if answer is None:
                raise Again("%s is missing" % name)
            with open(partial, "r+b" if begins else "wb") as out:
                out.truncate(begins)
                out.seek(begins)
                for block in self._blocks(answer, name, size - begins):
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
                if out.tell() != size:
                    raise Again("%s was cut off" % name)

    def _blocks(self, answer: BinaryIO, name: str, limit: int) -> Iterator[bytes]:
        """The body, of at most `limit` bytes, and not slower than is bearable."""
        until, total = time.monotonic() + self._timeout_s + limit / SLOWEST, 0
        # read1 returns what is there: a server that drips must not hide behind a read that waits for more.
        read: Callable[[int], bytes] = getattr(answer, "read1", answer.read)
        while True:
            block = read(BLOCK)
            if not block:
                break
            total += len(block)
            self.received += len(block)
            if total > limit:
                raise Unreachable("%s has more than %d bytes." % (name, limit))
            if time.monotonic() > until:
                raise Unreachable("%s comes too slowly." % name)
            yield block
        length = getattr(answer, "length", None)
        if length:  # what http.client still waits for
            raise Again("%s was cut off" % name)

    @contextlib.contextmanager
    def _open(self, name: str, begin: int) -> Iterator[Tuple[Optional[BinaryIO], int]]:
        """The answer (None for: no such file), and the byte that it begins at: `begin`, or 0 where the server knows no
        ranges."""
        try:
            answer = self._answer(name, begin)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410) or (error.code == 403 and name.endswith(".root.json")):  # object stores say 403
                yield None, 0
                return
            raise Again("%s: the server says %d" % (name, error.code)) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, FileNotFoundError) or "No such file" in str(error.reason):
                yield None, 0
                return
            raise
        with contextlib.closing(answer):
            ranged = getattr(answer, "status", 200) == 206
            if ranged and not str(answer.headers.get("Content-Range")).startswith("bytes %d-" % begin):
                raise Again("%s: the server gave another range" % name)
            yield answer, begin if ranged else 0

    def _answer(self, name: str, begin: int) -> Any:
        return self._opener.open(self._request(name, begin), timeout=self._timeout_s)

    def _request(self, name: str, begin: int) -> urllib.request.Request:
        headers: Dict[str, str] = {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = "bytes=%d-" % begin
        return urllib.request.Request(self._url + urllib.parse.quote(name, safe="/:"), headers=headers)

    def _tried(self, once: Callable[[], Found]) -> Found:
        reasons: List[str] = []
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(self._pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            try:
                return once()
            except Again as error:
                reasons.append(str(error))
            except ssl.SSLCertVerificationError as error:
                raise Unreachable("The server's certificate is refused: %s." % error.verify_message) from None
            except (OSError, http.client.HTTPException, EOFError, ValueError) as error:  # ValueError: an odd address
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise Unreachable("The server's certificate is refused: %s." % reason.verify_message) from None
                if getattr(error, "errno", None) == 28:
                    raise
                reasons.append("%s" % (reason or type(error).__name__))
        raise Unreachable("%.300s (%d tries)." % (reasons[-1], self._attempts))


class Redirects(urllib.request.HTTPRedirectHandler):
    """Followed to the same scheme, or from http to https. What a request says to its own server alone
    (add_unredirected_header) goes along where it is the same server."""

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # which Python has since 3.11

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if after.scheme not in (before.scheme, "https"):
            raise Unreachable("The server leads to %.200s, which is another scheme." % newurl)
        fp.close()  # else it would be read to its end, and a hostile one has none
        code = 307 if code == 308 else code
        found = super(Redirects, self).redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and (before.scheme, before.netloc) == (after.scheme, after.netloc):
            for name, value in req.unredirected_hdrs.items():
                if name == "Authorization":
                    found.add_unredirected_header(name, value)
        return found
