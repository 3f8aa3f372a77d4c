"""A registry of the OCI distribution specification (v1.1), over HTTP(S) with the standard library.

The `oras` package was weighed: twelve distributions for six requests, and no download of it goes on where it was cut.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgewright.core.errors import DeviceError, EdgewrightError, InputError
from edgewright.device.release import MANIFEST_LIMIT, MANIFEST_TYPE

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
TIMEOUT_S = 60.0
REDIRECTS, RESUMPTIONS = 5, 8
ANSWER_LIMIT = 1 << 20
BLOCK = 1 << 20
HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts that are asked without TLS: nothing leaves this machine."""


@dataclass(frozen=True)
class Reference:
    """`host[:port]/repository[:tag][@sha256:…]`. `name` is the digest if there is one, else the tag."""

    host: str
    repository: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


def parse_reference(text: str) -> Reference:
    """InputError for what is no reference; the host must be said, for there is no registry that we would assume."""
    part = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    host = r"([A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-f:]+\](?::\d+)?)"
    form = rf"{host}/({part}(?:/{part})*)(?::(\w[\w.-]{{0,127}}))?(?:@(sha256:[0-9a-f]{{64}}))?"
    found = re.fullmatch(form, text)
    if found is None or not (re.search(r"[.:]", found[1]) or found[1] == "localhost"):
        raise InputError(
            f"'{text[:200]}' is no place in a registry.",
            "Write host/repository:tag, as registry.example.org/team/cars:7.",
        )
    return Reference(found[1], found[2], found[3] or "latest", found[4] or "")


@dataclass(frozen=True)
class Answer:
    """A finished request; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Registry:
    """One repository of one registry. DeviceError where it cannot be reached or fails, InputError where it refuses."""

    def __init__(self, reference: Reference, plain_http: bool = False) -> None:
        self.reference = reference
        here = urllib.parse.urlsplit(f"//{reference.host}").hostname in HERE
        self._base = f"{'http' if plain_http or here else 'https'}://{reference.host}"
        self._authorization = ""
        self._kept: dict[str, http.client.HTTPConnection] = {}

    def has_blob(self, digest: str) -> bool:
        return self._ask("HEAD", f"blobs/sha256:{digest}", known=(200, 404)).status == 200

    def put_blob(self, digest: str, path: Path) -> None:
        """Sends a file as the blob `digest`, in one piece, streamed."""
        begun = self._ask("POST", "blobs/uploads/", known=(202,))
        place = urllib.parse.urljoin(self._base, begun.headers.get("location", ""))
        place += ("&" if urllib.parse.urlsplit(place).query else "?") + f"digest=sha256:{digest}"
        length = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as body:
            self._ask("PUT", place, headers=length, body=body, known=(201,))

    def get_manifest(self, name: str, kind: str = MANIFEST_TYPE) -> bytes | None:
        """The bytes of a manifest by tag or digest; None where there is none."""
        found = self._ask("GET", f"manifests/{name}", {"Accept": kind}, known=(200, 404), limit=MANIFEST_LIMIT)
        if found.status == 404:
            return None
        if name.startswith("sha256:") and hashlib.sha256(found.body).hexdigest() != name[7:]:
            raise DeviceError(f"{self.reference.host} gave another manifest than {name[:19]}.", "Ask again.")
        return found.body

    def put_manifest(self, name: str, manifest: bytes, kind: str = MANIFEST_TYPE) -> Answer:
        headers = {"Content-Type": kind, "Content-Length": str(len(manifest))}
        return self._ask("PUT", f"manifests/{name}", headers, manifest, known=(201,))

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """The descriptors of what refers to a manifest: the registry's own list, else that of the tag in its place."""
        found = self._ask("GET", f"referrers/sha256:{digest}", {"Accept": INDEX_TYPE}, known=(200, 404))
        body = found.body if found.status == 200 else self.get_manifest(f"sha256-{digest}", INDEX_TYPE)
        try:
            entries = json.loads(body)["manifests"] if body else []
            return [dict(entry) for entry in entries][:1000]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DeviceError(f"{self.reference.host} gave no list of referrers.", "Ask again.") from None

    def get_blob(self, digest: str, size: int, path: Path) -> None:
        """The blob in the file `path`: what is there already is gone on from, after a cut too. DeviceError where the
        bytes are not those that the digest names."""
        for _ in range(RESUMPTIONS):
            there = path.stat().st_size if path.exists() else 0
            if there >= size:
                break
            try:
                self._fetch(digest, size, there, path)
            except (OSError, http.client.HTTPException):
                continue
        total = hashlib.sha256()
        with path.open("ab+") as file:
            file.seek(0)
            for block in iter(lambda: file.read(BLOCK), b""):
                total.update(block)
            if file.tell() != size or total.hexdigest() != digest:
                file.truncate(0)
                raise DeviceError(f"{self.reference.host} did not give the blob {digest[:12]} whole.", "Pull again.")

    def _fetch(self, digest: str, size: int, there: int, path: Path) -> None:
        wanted = {"Range": f"bytes={there}-"} if there else {}
        with self._opened("GET", f"blobs/sha256:{digest}", wanted) as answer:
            if answer.status not in (200, 206):
                raise self._refused(answer.status, answer.read(ANSWER_LIMIT))
            ranged = str(answer.headers.get("Content-Range", "")).startswith(f"bytes {there}-")
            start = there if answer.status == 206 and ranged else 0
            with path.open("ab") as file:
                file.truncate(start)
                left = size - start
                while left > 0 and (block := answer.read(min(BLOCK, left))):
                    file.write(block)
                    left -= len(block)

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
        known: tuple[int, ...] = (200,),
        limit: int = ANSWER_LIMIT,
    ) -> Answer:
        try:
            with self._opened(method, path, headers or {}, body) as answer:
                data = answer.read(limit + 1)
                if answer.status not in known:
                    raise self._refused(answer.status, data)
                if len(data) > limit:
                    raise DeviceError(f"An answer of {self.reference.host} is too large.", "Is it a registry?")
                return Answer(answer.status, {key.lower(): value for key, value in answer.headers.items()}, data)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DeviceError(
                f"The registry {self.reference.host} cannot be reached: {reason}.",
                "Is the address right? Without TLS, say --plain-http.",
            ) from None

    @contextmanager
    def _opened(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | IO[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """A request under way, after its redirections and, if the registry asks for it, with a name and a token."""
        place = path if "://" in path else f"{self._base}/v2/{self.reference.repository}/{path}"
        for _ in range(REDIRECTS):
            own = place.startswith(f"{self._base}/")  # nobody else is shown the name and the password
            given = {**headers, **({"Authorization": self._authorization} if self._authorization and own else {})}
            origin = _origin(place)
            connection, answer = self._sent(method, place, given, body)
            try:
                asked = answer.headers.get("WWW-Authenticate", "")
                if answer.status == 401 and own and asked and not given.get("Authorization", "").startswith("Basic"):
                    self._authorization = self._authorized(asked)  # a token that ran out is replaced, too
                elif answer.status in (301, 302, 303, 307, 308) and method in ("GET", "HEAD"):
                    place = urllib.parse.urljoin(place, answer.headers.get("Location", ""))
                else:
                    yield answer
                    return
            finally:
                if answer.isclosed() and not answer.will_close:
                    self._kept[origin] = connection
                else:
                    connection.close()
        raise DeviceError(f"The registry {self.reference.host} sends us round in a circle.", "Ask who runs it.")

    def _sent(
        self, method: str, place: str, headers: Mapping[str, str], body: bytes | IO[bytes] | None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """A request made over the connection that is open, or a new one: the other side may have closed it since."""
        for kept in (self._kept.pop(_origin(place), None), None):
            connection = kept or _connection(place)
            try:
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
                connection.request(method, _target(place), body=body, headers=headers)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException):
                connection.close()
                if kept is None:
                    raise
        raise AssertionError("a new connection answers or raises")

    def _authorized(self, asked: str) -> str:
        """The Authorization header for a challenge: Basic, or a token from the realm that it names."""
        basic = _credentials(self.reference.host)
        if asked.lower().startswith("basic"):
            if not basic:
                raise InputError(f"{self.reference.host} wants a name and a password.", _LOGIN)
            return f"Basic {basic}"
        parts = dict(re.findall(r'(\w+)="([^"]*)"', asked))
        realm = parts.get("realm", "")
        if not realm.startswith(("https://", f"{self._base}/")):
            raise InputError(f"{self.reference.host} asks for a token in a way that is not safe.", "Ask who runs it.")
        wanted = {key: parts[key] for key in ("service", "scope") if key in parts}
        place = f"{realm}?{urllib.parse.urlencode(wanted)}"
        connection = _connection(place)
        try:
            connection.request("GET", _target(place), headers={"Authorization": f"Basic {basic}"} if basic else {})
            answer = connection.getresponse()
            found = json.loads(answer.read(ANSWER_LIMIT)) if answer.status == 200 else {}
        except ValueError:
            found = {}
        finally:
            connection.close()
        token = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InputError(f"{self.reference.host} gave no token.", _LOGIN)
        return f"Bearer {token}"

    def _refused(self, status: int, body: bytes) -> EdgewrightError:
        """The registry's own words, made plain."""
        try:
            said = str(json.loads(body)["errors"][0].get("message", ""))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            said = ""
        words = "".join(letter for letter in said if letter.isprintable())[:200] or http.client.responses.get(
            status, ""
        )
        kind = InputError if status in (400, 401, 403, 404, 405) else DeviceError
        message = f"The registry {self.reference.host} answered {status} ({words or 'no reason given'})."
        return kind(message, _LOGIN if status in (401, 403) else f"Is {self.reference} right?")


_LOGIN = "Log in with `docker login`, `podman login` or `skopeo login`, which leave it in $DOCKER_CONFIG/config.json."


def _credentials(host: str) -> str:
    """base64 of name:password, from the file that the usual tools' login writes; "" where it has none for the host."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        with (folder / "config.json").open("rb") as file:
            auth = str(json.loads(file.read(ANSWER_LIMIT))["auths"][host]["auth"])
        base64.b64decode(auth, validate=True)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return auth


def _connection(place: str) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(place)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_S, context=ssl.create_default_context())
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    raise InputError(f"A registry sends us to {place[:100]}, which is no web address.", "Ask who runs it.")


def _origin(place: str) -> str:
    parts = urllib.parse.urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}"


def _target(place: str) -> str:
    parts = urllib.parse.urlsplit(place)
    return urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
