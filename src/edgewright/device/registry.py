"""A channel in a registry of the OCI distribution specification 1.1, read as the folder of metadata/ and targets/ that
it would be on a web server (`edgewright bundle publish --to oci://…` writes it).

    metadata/timestamp.json     the file in the manifest with the tag `timestamp`, which moves
    metadata/N.ROLE.json        the file in the manifest with the tag `N.ROLE`, which stays
    targets/DIGEST.NAME         the blob with this digest

Manifests are signed by nobody and say no more than where a file is: what it must be is said by TUF. A name and password
are those that `docker login` has left ($DOCKER_CONFIG/config.json, else ~/.docker/config.json); they and the tokens
that they are changed for are shown to the registry and to the place that it names for tokens, and written nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, List, NamedTuple, Optional

from edgewright.device.fetch import Again, Folder, Unreachable
from edgewright.device.release import MANIFEST_TYPE, ReleaseError, is_digest

METADATA_TYPE = "application/vnd.edgewright.channel.metadata.v1+json"
"""Of the layer that is a file of metadata."""
MANIFEST_LIMIT = 1 << 20
TOKEN_LIMIT = 64 << 10
HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts that are asked without TLS: nothing leaves this machine."""
PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
ADDRESS = r"oci://([A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?)/(%s(?:/%s)*)\Z" % (PART, PART)
LOGIN = "Log in with `docker login` or `podman login`, which leave it in $DOCKER_CONFIG/config.json."


class Denied(Unreachable):
    """The registry wants a name and password, or others."""

    def __init__(self, host: str, status: int) -> None:
        super(Denied, self).__init__("The registry %s does not let us read (%d)." % (host, status), LOGIN)


class File(NamedTuple):
    """The blob that is a file of metadata: its sha256 (hex) and bytes, as its manifest has them."""

    digest: str
    size: int


class Registry(Folder):
    """`address` is oci://host[:port]/repository; the rest is as for a folder. ReleaseError for another address."""

    def __init__(self, address: str, *limits: Any, plain_http: bool = False, **named: Any) -> None:
        found = re.match(ADDRESS, address)
        if found is None:
            # The address is not repeated: somebody may have written a password into it.
            raise ReleaseError("The address is no repository of a registry.", "Write oci://host[:port]/repository.")
        self._host = found.group(1)
        here = urllib.parse.urlsplit("//" + self._host).hostname in HERE
        self._origin = "%s://%s" % ("http" if plain_http or here else "https", self._host)
        super(Registry, self).__init__("%s/v2/%s" % (self._origin, found.group(2)), *limits, **named)
        self._authorization = ""

    def small(self, name: str, limit: int) -> Optional[bytes]:
        tag = re.sub(r"\Ametadata/|\.json\Z", "", name)

        def once() -> Optional[bytes]:
            manifest = self._whole("manifests/" + tag, MANIFEST_LIMIT)
            if manifest is None:
                return None
            file = _file(manifest, tag)
            if file.size > limit:
                raise Unreachable("%s has more than %d bytes." % (name, limit))
            data = self._whole("blobs/sha256:" + file.digest, file.size)
            if data is None:
                raise Again("the blob of %s is missing" % name)
            if hashlib.sha256(data).hexdigest() != file.digest:
                raise Again("%s arrived damaged" % name)
            return data

        return self._tried(once)

    def large(self, name: str, digest: str, size: int, path: str) -> None:
        super(Registry, self).large("blobs/sha256:" + digest, digest, size, path)

    def _request(self, name: str, begin: int) -> urllib.request.Request:
        request = super(Registry, self)._request(name, begin)
        if name.startswith("manifests/"):
            request.add_header("Accept", MANIFEST_TYPE)
        if self._authorization:
            # Not to be taken along where the registry sends us to a storage of somebody else's.
            request.add_unredirected_header("Authorization", self._authorization)
        return request

    def _answer(self, name: str, begin: int) -> Any:
        try:
            return super(Registry, self)._answer(name, begin)
        except urllib.error.HTTPError as error:
            asked = str(error.headers.get("WWW-Authenticate", ""))
            if error.code not in (401, 403) or not str(error.geturl()).startswith(self._origin + "/"):
                raise
            error.close()
            if error.code == 403 or not asked:
                raise Denied(self._host, error.code) from None
        self._authorization = self._authorized(asked)  # also one that has run out
        try:
            return super(Registry, self)._answer(name, begin)
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403):
                raise
            error.close()
            self._authorization = ""
            raise Denied(self._host, error.code) from None

    def _authorized(self, asked: str) -> str:
        """The Authorization header for a challenge (RFC 9110, section 11.6.1): Basic, or a token of the realm."""
        basic = credentials(self._host)
        if re.match(r"basic\b", asked, re.IGNORECASE):
            if not basic:
                raise Denied(self._host, 401)
            return "Basic " + basic
        parts: Dict[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', asked))
        realm = parts.get("realm", "")
        if not realm.startswith(("https://", self._origin + "/")):
            raise Unreachable("The registry %s asks for a token in a way that is not safe." % self._host)
        wanted = urllib.parse.urlencode([(key, parts[key]) for key in ("service", "scope") if key in parts])
        request = urllib.request.Request(realm + ("&" if "?" in realm else "?") + wanted)
        if basic:
            request.add_unredirected_header("Authorization", "Basic " + basic)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                found: Any = json.loads(b"".join(self._blocks(answer, "the token", TOKEN_LIMIT)).decode("utf-8"))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403):
                raise Denied(self._host, error.code) from None
            raise Again("the token: the server says %d" % error.code) from None
        except (ValueError, RecursionError):
            found = None
        token = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not re.match(r"[\x21-\x7e]+\Z", token):
            raise Again("the registry gave no token")
        return "Bearer " + token


def credentials(host: str) -> str:
    """base64 of name:password, from the file that the usual tools' login writes; "" where it has none for the host."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    try:
        with open(os.path.join(folder, "config.json"), "rb") as file:
            found = str(json.loads(file.read(1 << 20).decode("utf-8"))["auths"][host]["auth"])
        base64.b64decode(found, validate=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found


def _file(manifest: bytes, tag: str) -> File:
    """The file of metadata in a manifest, which is its first layer of that type. Unreachable where there is none."""
    try:
        layers: List[Any] = json.loads(manifest.decode("utf-8"))["layers"]
        layer = next(layer for layer in layers if layer["mediaType"] == METADATA_TYPE)
        digest, size = str(layer["digest"]), layer["size"]
        if digest[:7] != "sha256:" or not is_digest(digest[7:]) or type(size) is not int or size < 0:
            raise ValueError(digest)
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError):
        raise Unreachable("What the registry has as %s is no file of a channel." % tag) from None
    return File(digest[7:], size)
