"""The client of a TUF repository: which file is the newest, said by keys and not by whoever holds the folder.

The Update Framework 1.0, section 5.3 (the client workflow), with consistent snapshots, Ed25519 keys and the four
top-level roles; delegated targets are not followed. What was verified is kept as it came, in a folder:

root.json, timestamp.json, snapshot.json, targets.json

Time is what the caller says it is. Where it says None, what has expired is noted and let in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from edgewright.device import durable, ed25519, trust
from edgewright.device.release import Rejected, ReleaseError, is_digest
from edgewright.device.signers import utc

LIMITS = {"root": 512 << 10, "timestamp": 16 << 10, "snapshot": 1 << 20, "targets": 16 << 20}
"""Bytes of one file of metadata."""
ROTATIONS = 256
"""New roots that are followed at one time."""
REMEDY = "Nothing was changed here. Look at the channel: is it the publisher's own, and published lately?"

Ask = Callable[[str, int], Optional[bytes]]
"""A file of the repository by its name and the most bytes it may have; None where there is none."""


class Target(NamedTuple):
    """A file of the repository: its name there, its sha256 (hex) and its bytes."""

    path: str
    digest: str
    size: int

    @property
    def place(self) -> str:
        """Where it lies, by the rule of consistent snapshots."""
        folder, _, name = self.path.rpartition("/")
        return "targets/" + (folder + "/" if folder else "") + self.digest + "." + name


class Refused(Rejected):
    """Metadata that must not be believed."""

    def __init__(self, reason: str) -> None:
        super(Refused, self).__init__("The channel is refused: %s." % reason, REMEDY)


class Metadata(NamedTuple):
    """One file of it, read; `signed` is what the signatures are over, and nobody has looked at those yet."""

    data: bytes
    signed: Dict[str, Any]
    signatures: List[Any]
    version: int
    expires: int


class Client(object):
    """`folder` holds what was verified before; there must be a root in it (`begin`)."""

    def __init__(self, folder: str, ask: Ask, now: Optional[int]) -> None:
        self._folder, self._ask, self._now = folder, ask, now
        self.notes: List[str] = []

    def refresh(self) -> Dict[str, Target]:
        """The targets by name. Refused where anything does not follow from what was verified before; what did is kept
        even then. ReleaseError where the repository cannot be reached."""
        root = self._root()
        timestamp = self._timestamp(root)
        snapshot = self._snapshot(root, timestamp)
        return _targets(self._targets(root, snapshot))

    def _root(self) -> Metadata:
        """5.3: every root from the one that is trusted to the newest, each signed by its predecessor and by itself."""
        root = self._trusted_root()
        for _ in range(ROTATIONS):
            name = "metadata/%d.root.json" % (root.version + 1)
            data = self._ask(name, LIMITS["root"])
            if data is None:
                break
            newer = read(data, "root")
            check(newer, root, "root")
            check(newer, newer, "root")
            if newer.version != root.version + 1:
                raise Refused("%s has the version %d" % (name, newer.version))
            # Fast-forward recovery: who had the old keys may have driven the versions up as far as they go.
            if any(_role(root, role) != _role(newer, role) for role in ("timestamp", "snapshot")):
                self._forget("timestamp", "snapshot")
            if _role(root, "targets") != _role(newer, "targets"):
                self._forget("targets")
            self._keep("root", newer)
            root = newer
        self._in_time("root", root)
        return root

    def _timestamp(self, root: Metadata) -> Metadata:
        data = self._ask("metadata/timestamp.json", LIMITS["timestamp"])
        if data is None:
            raise ReleaseError("The channel has no metadata/timestamp.json.", "Is its address right?")
        newer, trusted = read(data, "timestamp"), self._trusted("timestamp", root)
        check(newer, root, "timestamp")
        if trusted is not None:
            if newer.version < trusted.version:
                raise Refused("its timestamp %d is older than %d, seen before" % (newer.version, trusted.version))
            if newer.version == trusted.version:
                newer = trusted
            if _meta(newer, "snapshot.json")[0] < _meta(trusted, "snapshot.json")[0]:
                raise Refused("its timestamp names an older snapshot than the one before")
        self._in_time("timestamp", newer)
        self._keep("timestamp", newer)
        return newer

    def _snapshot(self, root: Metadata, timestamp: Metadata) -> Metadata:
        said, trusted = _meta(timestamp, "snapshot.json"), self._trusted("snapshot", root)
        newer = self._asked("snapshot", root, said, trusted)
        if trusted is not None:
            for name in trusted.signed["meta"]:
                if _meta(newer, name)[0] < _meta(trusted, name)[0]:
                    raise Refused("its snapshot names an older %.60s than the one before" % name)
        self._in_time("snapshot", newer)
        self._keep("snapshot", newer)
        return newer

    def _targets(self, root: Metadata, snapshot: Metadata) -> Metadata:
        newer = self._asked("targets", root, _meta(snapshot, "targets.json"), self._trusted("targets", root))
        self._in_time("targets", newer)
        self._keep("targets", newer)
        return newer

    def _asked(self, role: str, root: Metadata, said: "Said", trusted: Optional[Metadata]) -> Metadata:
        """The metadata that another one names: the one that is here if that is it, else the repository's."""
        version, size, digest = said
        if trusted is not None and trusted.version == version and (not digest or _sha256(trusted.data) == digest):
            return trusted
        name = "metadata/%d.%s.json" % (version, role)
        data = self._ask(name, min(size or LIMITS[role], LIMITS[role]))
        if data is None:
            raise Refused("%s is missing" % name)
        if digest and _sha256(data) != digest or size and len(data) != size:
            raise Refused("%s is not the file that it should be" % name)
        found = read(data, role)
        check(found, root, role)
        if found.version != version:
            raise Refused("%s has the version %d" % (name, found.version))
        return found

    def _in_time(self, role: str, metadata: Metadata) -> None:
        if self._now is None:
            self.notes.append("The %s is good until %s; no time is known here." % (role, utc(metadata.expires)))
        elif metadata.expires <= self._now:
            raise Refused("its %s expired on %s, and it is later" % (role, utc(metadata.expires)))

    def _trusted_root(self) -> Metadata:
        data = self._kept("root")
        if data is None:
            raise ReleaseError("This device knows no root of the channel.", "Give it once: --trust root.json.")
        return read(data, "root")

    def _trusted(self, role: str, root: Metadata) -> Optional[Metadata]:
        """What was verified before, if its keys still count; the disk may have lost or changed it."""
        data = self._kept(role)
        try:
            found = read(data, role) if data is not None else None
            if found is not None:
                check(found, root, role)
            return found
        except Refused:
            return None

    def _kept(self, role: str) -> Optional[bytes]:
        try:
            with open(self._path(role), "rb") as file:
                return file.read(LIMITS[role] + 1)
        except FileNotFoundError:
            return None

    def _keep(self, role: str, metadata: Metadata) -> None:
        if self._kept(role) != metadata.data:
            durable.write_text(self._path(role), metadata.data.decode("utf-8"))

    def _forget(self, *roles: str) -> None:
        for role in roles:
            durable.remove(self._path(role))
        durable.sync_folder(self._folder)

    def _path(self, role: str) -> str:
        return os.path.join(self._folder, role + ".json")


def begin(folder: str, data: bytes) -> None:
    """Makes a root, brought by a way that is trusted, the first one. One that is here already stays, unless the disk
    has damaged it: it moves on by rotation alone. Refused for what is no root that its own keys signed."""
    os.makedirs(folder, exist_ok=True)
    root = read(data, "root")
    check(root, root, "root")
    path = os.path.join(folder, "root.json")
    try:
        with open(path, "rb") as file:
            read(file.read(LIMITS["root"] + 1), "root")
    except (FileNotFoundError, Refused):
        durable.write_text(path, data.decode("utf-8"))


def read(data: bytes, role: str) -> Metadata:
    """The metadata in a file. Refused for what is not of the specification's form; signatures are not looked at."""
    try:
        found: Any = json.loads(data.decode("utf-8")) if len(data) <= LIMITS[role] else None
        signed, signatures = found["signed"], found["signatures"]
        if signed["_type"] != role or not re.match(r"1\.\d+(\.\d+)?\Z", signed["spec_version"]):
            raise ValueError("its type is another")
        if not isinstance(signatures, list) or len(signatures) > 64:
            raise ValueError("its signatures are no short list")
        canonical(signed)
        read_as = Metadata(data, signed, signatures, _version(signed["version"]), trust.seconds(signed["expires"]))
        _CHECKED[role](read_as)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise Refused("its %s is of another form (%s)" % (role, str(error)[:100])) from None
    return read_as


def check(metadata: Metadata, root: Metadata, role: str) -> None:
    """Refused unless as many keys as `root` asks for in this role have signed. A key counts once, by whatever names."""
    asked, message, good = root.signed["roles"][role], canonical(metadata.signed), set()
    for entry in metadata.signatures:
        name, made = (entry.get("keyid"), entry.get("sig")) if isinstance(entry, dict) else (None, None)
        key = _public(root, name) if isinstance(name, str) and name in asked["keyids"] else None
        if key is None or key in good or not isinstance(made, str) or not re.match(r"[0-9a-f]{128}\Z", made):
            continue
        if ed25519.verify(key, message, bytes.fromhex(made)):
            good.add(key)
        if len(good) >= asked["threshold"]:
            return
    raise Refused("its %s has %d of %d signatures that count" % (role, len(good), asked["threshold"]))


def canonical(value: Any) -> bytes:
    """Canonical JSON of OLPC (wiki.laptop.org/go/Canonical_JSON), which signatures are over. ValueError for a number
    that is not whole."""
    if isinstance(value, str):
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8") + b'"'
    if value is None or value is True or value is False:
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, list):
        return b"[" + b",".join(canonical(one) for one in value) + b"]"
    if isinstance(value, dict):
        return b"{" + b",".join(canonical(name) + b":" + canonical(value[name]) for name in sorted(value)) + b"}"
    raise ValueError("a number is not whole")


Said = Tuple[int, Optional[int], Optional[str]]
"""What one file says of another: version, bytes and sha256, where it says them."""


def _meta(metadata: Metadata, name: str) -> Said:
    entry = metadata.signed["meta"].get(name)
    if entry is None:
        raise Refused("%.60s is not named any more" % name)
    return entry["version"], entry.get("length"), (entry.get("hashes") or {}).get("sha256")


def _targets(metadata: Metadata) -> Dict[str, Target]:
    listed = metadata.signed["targets"].items()
    return {path: Target(path, entry["hashes"]["sha256"], entry["length"]) for path, entry in listed}


def _role(root: Metadata, role: str) -> Tuple[List[Any], int]:
    """The keys themselves, not what they are called, and how many must sign."""
    asked = root.signed["roles"][role]
    return sorted(str(_public(root, name)) for name in set(asked["keyids"])), asked["threshold"]


def _public(root: Metadata, name: str) -> Optional[bytes]:
    """The 32 bytes of a key; None for one of a kind that is not understood."""
    key = root.signed["keys"].get(name)
    if not isinstance(key, dict) or (key.get("keytype"), key.get("scheme")) != ("ed25519", "ed25519"):
        return None
    text: Any = key["keyval"].get("public") if isinstance(key.get("keyval"), dict) else None
    return bytes.fromhex(text) if is_digest(text) else None


def _check_root(metadata: Metadata) -> None:
    signed = metadata.signed
    if signed["consistent_snapshot"] is not True or not isinstance(signed["keys"], dict):
        raise ValueError("it has no consistent snapshots")
    for role in LIMITS:
        asked = signed["roles"][role]
        if type(asked["threshold"]) is not int or asked["threshold"] < 1:
            raise ValueError("a threshold is below 1")
        if not isinstance(asked["keyids"], list) or not all(isinstance(name, str) for name in asked["keyids"]):
            raise ValueError("its keys have no names")


def _check_meta(metadata: Metadata) -> None:
    for entry in metadata.signed["meta"].values():
        _version(entry["version"])
        _sized(entry, required=False)
    metadata.signed["meta"]["snapshot.json" if metadata.signed["_type"] == "timestamp" else "targets.json"]


def _check_targets(metadata: Metadata) -> None:
    for path, entry in metadata.signed["targets"].items():
        if not re.match(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}\Z", path):
            raise ValueError("a target has an odd name")
        _sized(entry, required=True)


def _sized(entry: Mapping[str, Any], required: bool) -> None:
    size, hashes = entry.get("length"), entry.get("hashes")
    if (required or size is not None) and (type(size) is not int or not 0 <= size < 1 << 53):
        raise ValueError("a length makes no sense")
    if (required or hashes is not None) and not is_digest(dict(hashes or {}).get("sha256")):
        raise ValueError("a sha256 is missing")


def _version(value: Any) -> int:
    if type(value) is not int or not 0 < value < 1 << 53:
        raise ValueError("a version is no positive whole number")
    return value


_CHECKED: Dict[str, Callable[[Metadata], None]] = {
    "root": _check_root,
    "timestamp": _check_meta,
    "snapshot": _check_meta,
    "targets": _check_targets,
}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
