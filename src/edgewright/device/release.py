"""What a release is made of: the manifest (CNCF ModelPack v0.0.7 in an OCI image manifest), and the
names under which releases live on a device. One parser for both ends; a manifest is hostile until it
has been through here.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from edgewright.device import durable

# https://github.com/modelpack/model-spec, tag v0.0.7, docs/spec.md and docs/annotations.md
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
WEIGHT, WEIGHT_CONFIG, CODE, DOC, DATASET = (
    "application/vnd.cncf.model.%s.v1.raw" % kind for kind in ("weight", "weight.config", "code", "doc", "dataset")
)
FILEPATH = "org.cncf.model.filepath"

MANIFEST_LIMIT = 8 << 20
LAYERS_LIMIT = 20000
LAYER_LIMIT = 64 << 30
TOTAL_LIMIT = 256 << 30
OWN_FILE = "release.json"
"""Written into a release by the installer: number, digest, serve settings. No bundle may carry it."""


class ReleaseError(Exception):
    """A bundle, a manifest or a device folder that must not be used: what is wrong and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super(ReleaseError, self).__init__(message)
        self.message, self.remedy = message, remedy


class Rejected(ReleaseError):
    """The release itself is at fault: wrong answers, too slow, too large, or it does not start."""


class Layer(NamedTuple):
    """One file: where it goes, its sha256 (hex), its bytes, its media type."""

    path: str
    digest: str
    size: int
    media_type: str


class Manifest(NamedTuple):
    layers: Tuple[Layer, ...]
    config: Layer

    def sizes(self) -> Dict[str, int]:
        """Bytes by digest, of everything the manifest names."""
        return {layer.digest: layer.size for layer in (*self.layers, self.config)}


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in `data`. ReleaseError on anything that is not exactly what we pack: other types,
    paths that leave the folder, names twice, a file that is also a folder, absurd sizes."""
    if len(data) > MANIFEST_LIMIT:
        raise _refuse("it is over %d MiB" % (MANIFEST_LIMIT >> 20))
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _refuse("it is not JSON") from None
    if not isinstance(found, dict) or found.get("schemaVersion") != 2 or found.get("artifactType") != ARTIFACT_TYPE:
        raise _refuse("it is not a ModelPack manifest")
    layers = found.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= LAYERS_LIMIT:
        raise _refuse("it has no layers, or over %d" % LAYERS_LIMIT)
    parsed = tuple(_layer(entry) for entry in layers)
    _check_names([layer.path for layer in parsed])
    config = _descriptor(found.get("config"), "")
    if config.media_type != CONFIG_TYPE:
        raise _refuse("its config is of another type")
    if sum(layer.size for layer in parsed) > TOTAL_LIMIT:
        raise _refuse("its files are over %d GiB together" % (TOTAL_LIMIT >> 30))
    return Manifest(parsed, config)


def safe_path(path: Any) -> str:
    """`path` if it is a plain relative path with forward slashes; ReleaseError otherwise."""
    if not isinstance(path, str) or not 0 < len(path) <= 1024:
        raise _refuse("a layer has no path, or one over 1024 characters")
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") and len(part.encode("utf-8", "replace")) <= 255 for part in parts)
    if not plain or re.search(r"[\x00-\x1f\x7f\\:]", path) or parts[0] == OWN_FILE:
        raise _refuse("the path %r is not allowed" % path[:200])
    return path


def is_digest(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _layer(entry: Any) -> Layer:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    path = annotations.get(FILEPATH) if isinstance(annotations, dict) else None
    layer = _descriptor(entry, safe_path(path))
    if layer.media_type not in (WEIGHT, WEIGHT_CONFIG, CODE, DOC, DATASET):
        raise _refuse("the layer %r has the type %.100r" % (layer.path, layer.media_type))
    return layer


def _descriptor(entry: Any, path: str) -> Layer:
    if not isinstance(entry, dict):
        raise _refuse("a descriptor is missing")
    digest, size, media_type = entry.get("digest"), entry.get("size"), entry.get("mediaType")
    if not isinstance(digest, str) or not digest.startswith("sha256:") or not is_digest(digest[7:]):
        raise _refuse("a digest of it is not a sha256")
    if type(size) is not int or not 0 <= size <= LAYER_LIMIT:
        raise _refuse("a size of it is not between 0 and %d GiB" % (LAYER_LIMIT >> 30))
    return Layer(path, digest[7:], size, str(media_type))


def _check_names(paths: List[str]) -> None:
    # Compared without case: two names that differ in it alone are one file on some file systems.
    folded = [path.casefold() for path in paths]
    if len(set(folded)) != len(folded):
        raise _refuse("two layers have the same path")
    folders = {"/".join(path.split("/")[:n]) for path in folded for n in range(1, path.count("/") + 1)}
    if folders & set(folded):
        raise _refuse("a path is both a file and a folder")


def _refuse(reason: str) -> ReleaseError:
    return ReleaseError("The bundle's manifest is refused: %s." % reason, "Pack the bundle again.")


class Layout(object):
    """The paths of one device folder. See docs/architecture.md, "The device folder"."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.blobs = os.path.join(self.root, "blobs", "sha256")
        self.incoming = os.path.join(self.root, "incoming")
        self.releases = os.path.join(self.root, "releases")
        self.packages = os.path.join(self.root, "packages")
        self.spool = os.path.join(self.root, "spool")
        self.run = os.path.join(self.root, "run")
        self.journal = os.path.join(self.root, "journal.jsonl")
        self.current = os.path.join(self.root, "current")
        self.previous = os.path.join(self.root, "previous")
        self.state = os.path.join(self.run, "state.json")
        self.control = os.path.join(self.run, "control.json")
        self.log = os.path.join(self.run, "agent.log")

    def make(self) -> None:
        for folder in (self.blobs, self.incoming, self.releases, self.packages, self.spool, self.run):
            os.makedirs(folder, exist_ok=True)

    def blob(self, digest: str) -> str:
        if not is_digest(digest):
            raise ReleaseError("%.80r is not a sha256." % digest, "Pack the bundle again.")
        return os.path.join(self.blobs, digest)

    def folder(self, name: str) -> str:
        return os.path.join(self.releases, name)

    def linked(self, link: str) -> Optional[str]:
        """The name of the release that `current` or `previous` points at; None where there is none."""
        try:
            name = os.path.basename(os.readlink(link))
        except OSError:
            return None
        return self.here(name)

    def here(self, name: Any) -> Optional[str]:
        """The name, if it is that of a release which lies here; else None."""
        is_name = isinstance(name, str) and re.fullmatch(r"\d+-[0-9a-f]{12}", name)
        return str(name) if is_name and os.path.isdir(self.folder(name)) else None

    def point(self, link: str, name: Optional[str]) -> None:
        if name is None:
            durable.remove(link)
            durable.sync_folder(self.root)
        else:
            # The service itself must be able to switch it back (boot_counter), whoever is killed here.
            durable.switch_link(link, os.path.join("releases", name), self.run)

    def describe(self, name: Optional[str]) -> Optional[Dict[str, Any]]:
        """The `release.json` of a release."""
        return durable.read_json(os.path.join(self.folder(name), OWN_FILE)) if name else None

    def next_number(self) -> int:
        """One more than any release that is or was here; numbers are never used twice."""
        numbers = [int(name.split("-")[0]) for name in os.listdir(self.releases) if re.match(r"\d+-", name)]
        return 1 + max(numbers, default=0)
