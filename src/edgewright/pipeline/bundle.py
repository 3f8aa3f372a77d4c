"""The bundle on disk: an OCI image layout with one ModelPack manifest, one raw layer per file.

Formats: OCI image-spec v1.1 (image-layout.md, manifest.md) and CNCF ModelPack v0.0.7. Same files, same
digest: nothing in it has a time, an order of its own, or a measured number.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.record import Record, canonical, digest_of
from edgewright.device import release
from edgewright.device.durable import sha256_of
from edgewright.device.release import Manifest, ReleaseError, parse_manifest
from edgewright.store.cache import disk_errors

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
INDEX_LIMIT = 1 << 20
CARD_LIMIT = 4 << 20
"""Bytes of one of our own JSON files in a bundle."""
PRECISIONS = {"int8": "int8", "mixed": "int8,float32", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True)
class Needs(Record):
    """What a device must be before a byte is sent; "" and 0 ask for nothing. `runtimes` maps a distribution to [from,
    below). `soc_version` is the chip that the model was compiled for ("Ascend310B4"), `chip` its short name. `glibc` is
    the oldest that will do. `labels` counts the classes, and `labels_digest` is the sha256 of their list as canonical
    JSON: what is said here must be what service.json has."""

    machine: str = ""
    python: str = "3.8"
    python_below: str = ""
    memory_bytes: int = 0
    disk_bytes: int = 0
    runtimes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    chip: str = ""
    soc_version: str = ""
    glibc: str = ""
    labels: int = 0
    labels_digest: str = ""


@dataclass(frozen=True)
class Bundle(Record):
    """A sealed release. `digest` is the sha256 of the manifest, `files` maps path → sha256, `size` is bytes."""

    path: Path
    digest: str
    size: int
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    needs: Needs
    name: str
    family: str
    precision: str
    simulated: bool = False

    def blob(self, digest: str) -> Path:
        return self.path / "blobs" / "sha256" / digest

    def card(self, name: str) -> Mapping[str, Any]:
        """One of the bundle's JSON files (`reference.json`, …); {} where it has none."""
        digest = self.files.get(name)
        if digest is None:
            return {}
        return dict(json.loads(self.blob(digest).read_bytes()))


def write_bundle(files: Mapping[str, Path | bytes], config: Mapping[str, Any], name: str, out: Path) -> Bundle:
    """Seals `files` (path in the release → a file or its bytes) into the folder `out`, which it replaces.
    DeviceError where the disk is full; `out` is then as it was."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".packing-", dir=out.parent))
    work.chmod(0o755)
    try:
        with disk_errors(out):
            _write(files, config, name, work)
            if out.exists():
                shutil.rmtree(out)
            work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return read_bundle(out)


def read_bundle(path: Path) -> Bundle:
    """The bundle in a folder, every file of it checked against its digest. InputError where anything is
    missing, changed, over its size or not of our form."""
    if not path.exists():
        raise InputError(f"There is no folder {path}.", "`edgewright pack` names the folder of each bundle it makes.")
    try:
        if not (path / "oci-layout").is_file():
            raise ValueError("there is no oci-layout in it" if path.is_dir() else "it is no folder")
        manifest_digest, manifest = _read_manifest(path)
        for digest, size in manifest.sizes().items():
            _check_blob(path, digest, size)
        found = _described(path, manifest_digest, manifest)
    except ReleaseError as error:
        raise InputError(f"{path}: {error.message}", error.remedy) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not a bundle: {error}.", "Make one with `edgewright pack`.") from None
    return found


def write_index(folder: Path, digest: str, size: int, name: str) -> None:
    """Makes `folder`, whose blobs are there, an image layout whose index names one manifest."""
    entry = _descriptor(release.MANIFEST_TYPE, digest, size)
    entry |= {"artifactType": release.ARTIFACT_TYPE, "annotations": {"org.opencontainers.image.ref.name": name}}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}
    (folder / "index.json").write_bytes(canonical(index))
    (folder / "oci-layout").write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))


def _write(files: Mapping[str, Path | bytes], config: Mapping[str, Any], name: str, work: Path) -> None:
    blobs = work / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = []
    for path in sorted(files):
        digest, size = _store(blobs, files[path])
        annotations = {release.FILEPATH: release.safe_path(path)}
        layers.append(_descriptor(_media_type(path), digest, size) | {"annotations": annotations})
    whole = dict(config) | {"modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in layers]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": release.MANIFEST_TYPE,
        "artifactType": release.ARTIFACT_TYPE,
        "config": _descriptor(release.CONFIG_TYPE, *_store(blobs, canonical(whole))),
        "layers": layers,
    }
    write_index(work, *_store(blobs, canonical(manifest)), name)


def _store(blobs: Path, content: Path | bytes) -> tuple[str, int]:
    if isinstance(content, bytes):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return digest, len(content)
    digest = sha256_of(str(content))
    shutil.copyfile(content, blobs / digest)
    return digest, content.stat().st_size


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _media_type(path: str) -> str:
    top = path.split("/", 1)[0]
    if top in ("app", "bin"):
        return release.CODE
    if top == "model" and not path.endswith((".xml", ".json")):
        return release.WEIGHT
    if top == "golden" or path == "reference.json":
        return release.DATASET
    return release.DOC if path == "decision.json" else release.WEIGHT_CONFIG


def _read_manifest(path: Path) -> tuple[str, Manifest]:
    layout = json.loads(_bounded(path / "oci-layout", INDEX_LIMIT))
    if layout["imageLayoutVersion"] != "1.0.0":
        raise ValueError("its layout has another version")
    entries = json.loads(_bounded(path / "index.json", INDEX_LIMIT))["manifests"]
    if len(entries) != 1 or entries[0]["mediaType"] != release.MANIFEST_TYPE:
        raise ValueError("its index does not name one manifest")
    digest = str(entries[0]["digest"]).removeprefix("sha256:")
    if not release.is_digest(digest) or type(entries[0]["size"]) is not int:
        raise ValueError("its index names no sha256")
    if entries[0]["size"] > release.MANIFEST_LIMIT:
        raise ValueError("its manifest is too large")
    _check_blob(path, digest, entries[0]["size"])
    return digest, parse_manifest((path / "blobs" / "sha256" / digest).read_bytes())


def _check_blob(path: Path, digest: str, size: int) -> None:
    blob = path / "blobs" / "sha256" / digest
    if blob.is_symlink() or not blob.is_file():
        raise ValueError(f"the blob {digest[:12]} is missing")
    if blob.stat().st_size != size:
        raise ValueError(f"the blob {digest[:12]} has {blob.stat().st_size} bytes, not {size}")
    if sha256_of(str(blob)) != digest:
        raise ValueError(f"the blob {digest[:12]} was changed")


def _described(path: Path, digest: str, manifest: Manifest) -> Bundle:
    files = {layer.path: layer.digest for layer in manifest.layers}
    sizes = manifest.sizes() | {digest: (path / "blobs" / "sha256" / digest).stat().st_size}

    def card(name: str) -> dict[str, Any]:
        if sizes[files[name]] > CARD_LIMIT:
            raise ValueError(f"{name} is too large")
        return dict(json.loads((path / "blobs" / "sha256" / files[name]).read_bytes()))

    service, needs = card("service.json"), Needs.from_json(card("needs.json"))
    labels = list(service["task"]["labels"])
    if needs.labels_digest and (len(labels), digest_of(labels)) != (needs.labels, needs.labels_digest):
        raise ValueError(f"it needs {needs.labels} labels, and its service has {len(labels)} or in another order")
    return Bundle(
        path=path,
        digest=digest,
        size=sum(sizes.values()),
        files=files,
        sizes=sizes,
        needs=needs,
        name=str(service["name"]),
        family=str(service["family"]),
        precision=str(service["precision"]),
        simulated=bool(service.get("simulated", False)),
    )


def _bounded(path: Path, limit: int) -> bytes:
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path.name} is too large")
    return data
