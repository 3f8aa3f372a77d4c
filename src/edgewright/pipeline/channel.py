"""Publish: a release as a TUF repository in a folder or a registry, for devices that fetch for themselves
(device/channel.py).

Any web server or OCI registry can hold it, for it has no secret: The Update Framework 1.0, consistent snapshots,
Ed25519. The keys are files of OpenSSH, `ROLE-N`, made where they are missing; beside them lies the publisher's own copy
of the metadata, so that what somebody does to the place is never signed by us.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.config import ServeConfig
from edgewright.core.errors import InputError
from edgewright.core.record import Record, canonical
from edgewright.device.channel import NAME, RELEASE_LIMIT
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.channel_place import place_of
from edgewright.pipeline.device_program import archive, programs
from edgewright.pipeline.signing import signed_beside
from edgewright.store.cache import disk_errors

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata

    from edgewright.pipeline.registry import Reference

ROLES = ("root", "targets", "snapshot", "timestamp")
ROOT_DAYS = 3650


@dataclass(frozen=True)
class Published(Record):
    """`root` is the file that a device is given once (`--trust`); versions are those of the metadata. `expires` is when
    the timestamp does: publish again before. `sent_bytes` is what the place did not have yet, `programs` the version of
    the device programs that went along."""

    channel: str
    digest: str
    signed: bool
    root: Path
    root_version: int
    version: int
    expires: str
    sent_bytes: int
    programs: str


def publish(
    bundle: Bundle,
    to: Path | Reference,
    channel: str,
    keys: Path,
    *,
    expires_days: int = 30,
    rotate_root: bool = False,
    plain_http: bool = False,
) -> Published:
    """Makes `bundle` the release of `channel` in `to`, a folder or a repository of a registry, and the device programs
    of this edgewright those that its devices run. Other channels in it stay. With `rotate_root` there is a new root
    key, in a root that the old one signs too. InputError where a key is missing or no name fits, DeviceError where the
    registry cannot be reached."""
    _need_tuf()
    if not re.match(NAME, channel):
        raise InputError(f"'{channel[:60]}' is no name of a channel.", "Use a-z, 0-9, dots and dashes.")
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=expires_days)
    place = place_of(to, plain_http)
    with disk_errors(to if isinstance(to, Path) else keys), _alone(keys):
        kept = keys / "metadata"
        kept.mkdir(exist_ok=True)
        root = _root(keys, rotate_root)
        sizes = _describe(bundle, channel, kept)
        _write(kept / "programs.zip", archive())
        sent = place.put_targets(bundle, kept / f"{channel}.channel", channel, kept / "programs.zip")
        version = _sign(root, keys, kept, sizes, expires)
        sent += place.put_metadata(kept, version)
    signed = signed_beside(bundle) is not None
    number = root.signed.version
    first = (to / "metadata" if isinstance(to, Path) else kept) / f"{number}.root.json"
    return Published(channel, bundle.digest, signed, first, number, version,
                     expires.strftime("%Y-%m-%dT%H:%M:%SZ"), sent, programs()[0])  # fmt: skip


def _need_tuf() -> None:
    try:
        import tuf.api.metadata  # noqa: F401
    except ImportError:
        raise InputError("Publishing a channel needs the package tuf.", "pip install 'edgewright[channel]'") from None


@contextmanager
def _alone(keys: Path) -> Iterator[None]:
    """Two publishers at once would give two files the same version."""
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (keys / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"Somebody else publishes with the keys in {keys}.", "Wait for that to end.") from None
        yield


def _root(keys: Path, rotate: bool) -> Metadata[Any]:
    """The newest root: the publisher's own, or a first one, or the next."""
    from tuf.api.metadata import Metadata, Root

    kept = keys / "metadata"
    numbers = sorted(int(path.name.split(".")[0]) for path in kept.glob("*.root.json"))
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=ROOT_DAYS)
    if not numbers:
        first = Root(version=1, expires=expires, consistent_snapshot=True)
        for role in ROLES:
            first.add_key(_make_key(keys / f"{role}-1").public_key, role)
        return _signed_root(Metadata(first), keys, [], kept)
    root: Metadata[Any] = Metadata.from_file(str(kept / f"{numbers[-1]}.root.json"))
    if not rotate:
        return root
    old = _signers(keys, root, "root")
    root.signed.version += 1
    root.signed.expires = expires
    for name in list(root.signed.roles["root"].keyids):
        root.signed.revoke_key(name, "root")
    root.signed.add_key(_make_key(keys / f"root-{root.signed.version}").public_key, "root")
    return _signed_root(root, keys, old, kept)


def _signed_root(root: Metadata[Any], keys: Path, old: list[Any], kept: Path) -> Metadata[Any]:
    root.signatures.clear()
    for signer in {s.public_key.keyid: s for s in (*old, *_signers(keys, root, "root"))}.values():
        root.sign(signer, append=True)
    _write(kept / f"{root.signed.version}.root.json", root.to_bytes())
    return root


def _describe(bundle: Bundle, channel: str, kept: Path) -> dict[str, int]:
    """Writes what the channel has now; bytes by digest of the blobs of all channels."""
    signed = signed_beside(bundle)
    told = {
        "format": 1,
        "manifest": bundle.digest,
        "sizes": bundle.sizes,
        "needs": bundle.needs,
        "serve": ServeConfig().model_dump(exclude={"wheels"}),
        "release": signed.request() if signed else None,
        "programs": {
            "version": programs()[0],
            "archive": hashlib.sha256(archive()).hexdigest(),
            "size": len(archive()),
        },
    }
    data = canonical(told)
    if len(data) > RELEASE_LIMIT:
        raise InputError("The bundle has too many files for a channel.", "Pack it with fewer.")
    _write(kept / f"{channel}.channel", data)
    sizes: dict[str, int] = {}
    for path in sorted(kept.glob("*.channel")):
        channel_has = _json(path)
        sizes.update(channel_has["sizes"])
        brought = channel_has.get("programs")  # a channel of an older edgewright has none
        if brought:
            sizes[brought["archive"]] = brought["size"]
    return sizes


def _sign(root: Metadata[Any], keys: Path, kept: Path, sizes: dict[str, int], expires: datetime) -> int:
    """The three other roles' new metadata, in the publisher's own copy; their version."""
    from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

    before = kept / "timestamp.json"
    version = 1 + (_json(before)["signed"]["version"] if before.is_file() else 0)
    listed = {digest: TargetFile(size, {"sha256": digest}, digest) for digest, size in sizes.items()}
    for path in kept.glob("*.channel"):
        name = path.name.removesuffix(".channel") + ".json"
        listed[name] = TargetFile.from_file(name, str(path), ["sha256"])
    roles = (
        ("targets", f"{version}.targets.json", lambda _: Targets(version, expires=expires, targets=listed)),
        ("snapshot", f"{version}.snapshot.json",
         lambda said: Snapshot(version, expires=expires, meta={"targets.json": said})),
        ("timestamp", "timestamp.json", lambda said: Timestamp(version, expires=expires, snapshot_meta=said)),
    )  # fmt: skip
    said = MetaFile(version)
    for role, name, make in roles:
        metadata: Metadata[Any] = Metadata(make(said))
        for signer in _signers(keys, root, role):
            metadata.sign(signer, append=True)
        data = metadata.to_bytes()
        said = MetaFile.from_data(version, data, ["sha256"])
        _write(kept / name, data)
    return version


def _signers(keys: Path, root: Metadata[Any], role: str) -> list[Any]:
    """The keys of a role that are here. InputError where they are fewer than must sign."""
    asked = root.signed.roles[role]
    found = [_load_key(path) for path in sorted(keys.glob(f"{role}-*")) if path.suffix != ".pub"]
    good = [signer for signer in found if signer.public_key.keyid in asked.keyids]
    if len(good) < asked.threshold:
        raise InputError(f"{keys} has {len(good)} of {asked.threshold} keys of the role {role}.", "Bring them there.")
    return good


def _make_key(path: Path) -> Any:
    """A new key, or the one that a cut publication has left there."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.exists():
        private = Ed25519PrivateKey.generate()
        kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        _write(path, private.private_bytes(*kinds), 0o600)
    return _load_key(path)


def _load_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    from securesystemslib.signer import CryptoSigner

    if path.stat().st_mode & 0o077:
        raise InputError(f"Others than its owner can read the key {path}.", f"chmod 600 {path}")
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise InputError(f"{path} is no open private key in OpenSSH format.", "Bring the right one.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} is not an Ed25519 key, which is what devices verify.", "Bring the right one.")
    return CryptoSigner(key)


def _json(path: Path) -> dict[str, Any]:
    import json

    return dict(json.loads(path.read_bytes()))


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
        file.write(data)
    Path(file.name).chmod(mode)
    Path(file.name).replace(path)
