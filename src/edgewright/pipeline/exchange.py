"""Push and pull: a bundle to and from any OCI registry, with its signature and provenance as a referrer of it.

The bundle's manifest is pushed as it is, so its digest is the same in the registry. What lies beside the bundle is a
second manifest whose `subject` is the first (OCI image-spec v1.1); registries without the referrers API are given the
tag `sha256-<digest>` that the distribution specification has for them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.errors import DeviceError, InputError
from edgewright.core.record import Record, canonical
from edgewright.device import release
from edgewright.device.release import ReleaseError, is_digest, parse_manifest
from edgewright.pipeline.bundle import Bundle, read_bundle, write_index
from edgewright.pipeline.registry import INDEX_TYPE, Reference, Registry
from edgewright.pipeline.signing import BESIDE, BESIDE_LIMIT, beside, signed_beside, verify
from edgewright.store.cache import disk_errors

VOUCHER_TYPE = "application/vnd.edgewright.release.v1"
FILE_TYPE = "application/vnd.edgewright.beside.v1"
EMPTY_TYPE, EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
TITLE, NUMBER = "org.opencontainers.image.title", "edgewright.release.number"


@dataclass(frozen=True)
class Pushed(Record):
    """`digest` is the manifest's (hex), `sent_bytes` what the registry did not have yet; `signed` whether a signature
    went with it."""

    reference: str
    digest: str
    sent_bytes: int
    signed: bool


def push(bundle: Bundle, reference: Reference, *, plain_http: bool = False) -> Pushed:
    """The bundle and what lies beside it, in the registry; blobs that it has are not sent again."""
    registry = Registry(reference, plain_http)
    blobs = {digest: bundle.blob(digest) for digest in bundle.sizes if digest != bundle.digest}
    sent = _send(registry, blobs)
    manifest = bundle.blob(bundle.digest).read_bytes()
    registry.put_manifest(reference.digest or reference.tag, manifest)
    signed = signed_beside(bundle)
    sent += _push_beside(bundle, registry, len(manifest), signed.number if signed else 0)
    return Pushed(str(reference), bundle.digest, sent + len(manifest), signed is not None)


def pull(reference: Reference, out: Path, *, plain_http: bool = False, allowed: Path | None = None) -> Bundle:
    """The bundle in the folder `out`, every digest of it checked, with what the registry has beside it; also its
    signature, where a file of `allowed` signers is given. A pull that was cut goes on where it was. InputError where
    there is none, it is not a bundle of ours, or it does not verify: then nothing is left of it."""
    registry = Registry(reference, plain_http)
    data = registry.get_manifest(reference.name)
    if data is None:
        raise InputError(f"There is no {reference}.", "Is the tag right?")
    try:
        manifest = parse_manifest(data)
    except ReleaseError as error:
        raise InputError(f"{reference} is not a bundle: {error.message}", error.remedy) from None
    digest = hashlib.sha256(data).hexdigest()
    work = out.with_name(f".pulling-{digest[:12]}-{out.name}")
    with disk_errors(out):
        blobs = work / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        _refuse_full(manifest, blobs)
        for name, size in manifest.sizes().items():
            registry.get_blob(name, size, blobs / name)
        (blobs / digest).write_bytes(data)
        try:
            write_index(work, digest, len(data), _name(work, manifest))
            for ending, content in _pull_beside(registry, digest).items():
                beside(work, ending).write_bytes(content)
            bundle = read_bundle(work)
            if allowed is not None:
                verify(bundle, allowed)
            _replace(work, out)
        except InputError:
            _remove(work)
            raise
    return read_bundle(out)


def _refuse_full(manifest: release.Manifest, blobs: Path) -> None:
    there = sum(path.stat().st_size for path in blobs.iterdir())
    wanted, free = sum(manifest.sizes().values()) - there, shutil.disk_usage(blobs).free
    if wanted > free:
        raise DeviceError(
            f"The bundle has {wanted >> 20} MiB more, and {free >> 20} MiB of disk are free.", "Free some space."
        )


def _replace(work: Path, out: Path) -> None:
    _remove(out)
    work.rename(out)
    for ending in BESIDE:
        if beside(work, ending).is_file():
            beside(work, ending).rename(beside(out, ending))


def _remove(bundle: Path) -> None:
    """A bundle's folder and what lies beside it."""
    for ending in BESIDE:
        beside(bundle, ending).unlink(missing_ok=True)
    if bundle.exists():
        shutil.rmtree(bundle)


def _send(registry: Registry, blobs: dict[str, Path]) -> int:
    sent = 0
    for digest, path in sorted(blobs.items()):
        if not registry.has_blob(digest):
            registry.put_blob(digest, path)
            sent += path.stat().st_size
    return sent


def _push_beside(bundle: Bundle, registry: Registry, size: int, number: int) -> int:
    """The files beside the bundle as one manifest that refers to it; the bytes sent."""
    files = {ending: beside(bundle.path, ending) for ending in BESIDE if beside(bundle.path, ending).is_file()}
    if not files:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty"
        empty.write_bytes(EMPTY)
        digests = {ending: hashlib.sha256(path.read_bytes()).hexdigest() for ending, path in files.items()}
        blobs = {digests[ending]: path for ending, path in files.items()}
        sent = _send(registry, {**blobs, hashlib.sha256(EMPTY).hexdigest(): empty})
    layers = [
        {**_descriptor(FILE_TYPE, digests[ending], files[ending].stat().st_size), "annotations": {TITLE: ending}}
        for ending in sorted(files)
    ]
    voucher = {
        "schemaVersion": 2,
        "mediaType": release.MANIFEST_TYPE,
        "artifactType": VOUCHER_TYPE,
        "config": _descriptor(EMPTY_TYPE, hashlib.sha256(EMPTY).hexdigest(), len(EMPTY)),
        "layers": layers,
        "subject": _descriptor(release.MANIFEST_TYPE, bundle.digest, size),
        "annotations": {NUMBER: str(number)},
    }
    data = canonical(voucher)
    digest = hashlib.sha256(data).hexdigest()
    answer = registry.put_manifest(f"sha256:{digest}", data)
    if "oci-subject" not in answer.headers:
        entry = {**_descriptor(release.MANIFEST_TYPE, digest, len(data)), "artifactType": VOUCHER_TYPE}
        kept = [other for other in registry.referrers(bundle.digest) if other.get("artifactType") != VOUCHER_TYPE]
        entries = [*kept, {**entry, "annotations": {NUMBER: str(number)}}]
        index = canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
        registry.put_manifest(f"sha256-{bundle.digest}", index, INDEX_TYPE)
    return sent + len(data)


def _pull_beside(registry: Registry, digest: str) -> dict[str, bytes]:
    """The files that lie beside the bundle, by the end of their name; of several signatures, the highest number's.
    They are as hostile as their source: only what they say is checked, when it is verified."""
    ours = [entry for entry in registry.referrers(digest) if entry.get("artifactType") == VOUCHER_TYPE]
    if not ours:
        return {}
    newest = max(ours, key=_number)
    data = registry.get_manifest(str(newest.get("digest")))
    found: dict[str, bytes] = {}
    try:
        layers = json.loads(data or b"{}")["layers"]
        for layer in layers[: len(BESIDE)]:
            ending, name, size = layer["annotations"][TITLE], str(layer["digest"])[7:], layer["size"]
            if ending not in BESIDE or not is_digest(name) or type(size) is not int or not 0 <= size <= BESIDE_LIMIT:
                raise ValueError(ending)
            with tempfile.TemporaryDirectory() as folder:
                registry.get_blob(name, size, Path(folder) / "blob")
                found[ending] = (Path(folder) / "blob").read_bytes()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("What the registry has beside the bundle is not of our form.", "Push it again.") from None
    return found


def _number(entry: dict[str, Any]) -> int:
    annotations = entry.get("annotations")
    text = str(annotations.get(NUMBER, "")) if isinstance(annotations, dict) else ""
    return int(text) if text.isdigit() and len(text) < 17 else 0


def _name(work: Path, manifest: release.Manifest) -> str:
    """The service's name, by which the layout's index calls the manifest."""
    digest = next((layer.digest for layer in manifest.layers if layer.path == "service.json"), "")
    try:
        return str(json.loads((work / "blobs" / "sha256" / digest).read_bytes())["name"])[:200]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError("The registry has something that is no bundle of ours.", "Is the tag right?") from None


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}
