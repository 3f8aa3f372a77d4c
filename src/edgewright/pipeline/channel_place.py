"""Where a channel is published: a folder for any web server, or a repository of any OCI registry.

Both are filled in the same order. Blobs first, then the metadata from the root to the timestamp: that is the one file
that is replaced, and it says that all the rest is there. Whoever reads meanwhile sees what was there before.

What the registry has:

    tag release.DIGEST    the bundle's own manifest, under its sha256 (hex)
    tag N.root            a root; beside it nothing
    tag N.targets         the targets' metadata; beside it, for every channel, what it has now, the bundle's manifest
                          and the archive of the device programs
    tag N.snapshot        the snapshot
    tag timestamp         the timestamp; of all tags it alone moves

Those of metadata are image manifests with an `artifactType` and an empty config (OCI image-spec 1.1, "Guidelines for
Artifact Usage"), the metadata is their first layer. So every blob that a device may ask for belongs to a manifest with
a tag, and no registry's garbage collection takes it away.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import InputError
from edgewright.core.record import canonical
from edgewright.device.durable import sha256_of
from edgewright.device.registry import METADATA_TYPE
from edgewright.device.release import MANIFEST_TYPE
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.registry import Reference, Registry, parse_reference

SCHEME = "oci://"
ARTIFACT_TYPE = "application/vnd.edgewright.channel.v1"
TARGET_TYPE = "application/vnd.edgewright.channel.target.v1"
EMPTY_TYPE, EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
TITLE = "org.opencontainers.image.title"


class Place(Protocol):
    """Both give the bytes that were sent, or copied."""

    def put_targets(self, bundle: Bundle, own: Path, channel: str, programs: Path) -> int:
        """The blobs of a release, the archive of the device programs, and the file `own`, which says what its channel
        has."""

    def put_metadata(self, kept: Path, version: int) -> int:
        """Of the publisher's own copy in the folder `kept`: all roots, and the rest of this version."""


def parse_place(text: str) -> Path | Reference:
    """A folder, or a repository where it begins with oci://. InputError for what is no repository."""
    if not text.startswith(SCHEME):
        return Path(text)
    place = text[len(SCHEME) :]
    if ":" in place.rpartition("/")[2] or "@" in place:
        raise InputError("A channel has tags of its own.", "Write oci://host[:port]/repository, and no tag.")
    return parse_reference(place)


def place_of(to: Path | Reference, plain_http: bool) -> Place:
    return InFolder(to) if isinstance(to, Path) else InRegistry(Registry(to, plain_http))


class InFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_targets(self, bundle: Bundle, own: Path, channel: str, programs: Path) -> int:
        folder = self._folder / "targets"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {f"{digest}.{digest}": (bundle.blob(digest), digest) for digest in bundle.sizes}
        wanted[f"{sha256_of(str(own))}.{channel}.json"] = (own, sha256_of(str(own)))
        brought = sha256_of(str(programs))
        wanted[f"{brought}.{brought}"] = (programs, brought)
        sent = 0
        for name, (source, digest) in sorted(wanted.items()):
            if not (folder / name).is_file() or sha256_of(str(folder / name)) != digest:
                sent += _copy(source, folder / name)
        return sent

    def put_metadata(self, kept: Path, version: int) -> int:
        folder = self._folder / "metadata"
        folder.mkdir(parents=True, exist_ok=True)
        return sum(_copy(kept / f"{name}.json", folder / f"{name}.json") for name in _names(kept, version))


class InRegistry:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def put_targets(self, bundle: Bundle, own: Path, channel: str, programs: Path) -> int:
        sent = sum(self._put(bundle.blob(digest), digest) for digest in sorted(bundle.sizes))
        sent += sum(self._put(path, sha256_of(str(path))) for path in (own, programs))
        return sent + self._tag(f"release.{bundle.digest}", bundle.blob(bundle.digest).read_bytes())

    def put_metadata(self, kept: Path, version: int) -> int:
        with tempfile.NamedTemporaryFile() as empty:
            empty.write(EMPTY)
            empty.flush()
            sent = self._put(Path(empty.name), hashlib.sha256(EMPTY).hexdigest())
        for name in _names(kept, version):
            path = kept / f"{name}.json"
            digest = sha256_of(str(path))
            layers = [_layer(METADATA_TYPE, digest, path.stat().st_size, path.name)]
            if name.endswith(".targets"):
                layers += self._targets(kept)
            sent += self._put(path, digest) + self._tag(name, _manifest(layers))
        return sent

    def _targets(self, kept: Path) -> list[dict[str, Any]]:
        """What every channel has now. That of a channel which was never published here is left out: a registry takes
        no manifest of blobs that it does not have, and whoever follows that channel follows it elsewhere."""
        layers = []
        for path in sorted(kept.glob("*.channel")):
            told = json.loads(path.read_bytes())
            wanted = {sha256_of(str(path)): path.stat().st_size, told["manifest"]: told["sizes"][told["manifest"]]}
            if told.get("programs"):
                wanted[told["programs"]["archive"]] = told["programs"]["size"]
            if all(self._registry.has_blob(digest) for digest in wanted):
                layers += [_layer(TARGET_TYPE, digest, size, path.stem) for digest, size in wanted.items()]
        return layers

    def _put(self, path: Path, digest: str) -> int:
        if self._registry.has_blob(digest):
            return 0
        self._registry.put_blob(digest, path)
        return path.stat().st_size

    def _tag(self, tag: str, manifest: bytes) -> int:
        """A tag that is right already is left alone: registries may be told that tags do not move."""
        if self._registry.get_manifest(tag) == manifest:
            return 0
        self._registry.put_manifest(tag, manifest)
        return len(manifest)


def _names(kept: Path, version: int) -> list[str]:
    """What is published, in its order."""
    roots = sorted(int(path.name.split(".")[0]) for path in kept.glob("*.root.json"))
    return [*(f"{number}.root" for number in roots), f"{version}.targets", f"{version}.snapshot", "timestamp"]


def _manifest(layers: list[dict[str, Any]]) -> bytes:
    config = {"mediaType": EMPTY_TYPE, "digest": f"sha256:{hashlib.sha256(EMPTY).hexdigest()}", "size": len(EMPTY)}
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": layers,
        }
    )


def _layer(kind: str, digest: str, size: int, title: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size, "annotations": {TITLE: title}}


def _copy(source: Path, path: Path) -> int:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".copying-", delete=False) as file:
        pass
    shutil.copyfile(source, file.name)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
    return path.stat().st_size
