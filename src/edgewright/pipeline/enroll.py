"""Enroll: the first contact with a device. Its host key is shown and trusted only on the user's word, a key is put
there, and what the device is gets written down."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright import transports
from edgewright.core.errors import ConfigError, DeviceError, InputError
from edgewright.core.record import Record, digest_of
from edgewright.pipeline.device_program import operate
from edgewright.store.cache import Store

RUNTIMES = ("numpy", "onnxruntime", "openvino", "opencv-python-headless", "pillow")

Confirm = Callable[["Shown"], bool]
Ask = Callable[[], str | None]


@dataclass(frozen=True)
class Shown(Record):
    """The host key (its fingerprint) that a device shows. `changed`: another one is known for it."""

    address: str
    kind: str
    host_key: str
    known: bool
    changed: bool


@dataclass(frozen=True)
class Enrolled(Record):
    """A device that lets us in by a key. `pinned` says whether its host key was trusted just now, `installed` whether
    the key was put there just now. Memory and disk in bytes; `runtimes` by distribution."""

    address: str
    host_key: str
    pinned: bool
    key: Path
    installed: bool
    python: str
    root: str
    machine: str
    memory: int
    disk_free: int
    runtimes: Mapping[str, str] = field(default_factory=dict)


def enroll(
    store: Store,
    address: str,
    *,
    fingerprint: str = "",
    key: Path | None = None,
    root: str = "",
    confirm: Confirm | None = None,
    ask: Ask | None = None,
) -> Enrolled:
    """Trusts the host key if it has the `fingerprint`, or is known, or `confirm` says so; installs `key` (an Ed25519
    key of our own where none is named), for which `ask` may give a password once. DeviceError, InputError."""
    return asyncio.run(_enroll(store, address, fingerprint, key, root, confirm, ask))


async def _enroll(
    store: Store, address: str, fingerprint: str, key: Path | None, root: str, confirm: Confirm | None, ask: Ask | None
) -> Enrolled:
    enrolment = _enrolment(address)
    host_key = await enrolment.host_key()
    shown = Shown(address.partition("?")[0], host_key.kind, host_key.fingerprint, host_key.known, host_key.changed)
    _trusted(shown, fingerprint, confirm)
    if not shown.known:
        await enrolment.pin(host_key)
    identity, _ = enrolment.prepare_key(key)
    link, installed = await enrolment.open(ask, identity, root)
    try:
        status = await operate(link, "status", {"runtimes": list(RUNTIMES)})
        found = Enrolled(
            address=shown.address,
            host_key=shown.host_key,
            pinned=not shown.known,
            key=identity,
            installed=installed,
            python=str(status.get("python") or ""),
            root=link.root,
            machine=str(status.get("machine") or ""),
            memory=_whole(status.get("memory")),
            disk_free=_whole(status.get("disk_free")),
            runtimes={n: str(v) for n, v in (status.get("runtimes") or {}).items() if n in RUNTIMES and v},
        )
    finally:
        await link.close()
    return store.put("enrolled", digest_of(shown.address), found)


def _trusted(shown: Shown, fingerprint: str, confirm: Confirm | None) -> None:
    """Returns where the key may be trusted; nothing was changed where it does not."""
    if fingerprint:
        if not hmac.compare_digest(fingerprint.encode(), shown.host_key.encode()):
            raise DeviceError(
                f"{shown.address} shows the host key {shown.host_key}, not the one you gave.",
                "Do not connect before you know why: somebody may sit between.",
            )
        return
    if shown.known:
        return
    if confirm is None:
        raise InputError(
            f"The host key of {shown.address} ({shown.host_key}) is not known here, and nobody can be asked.",
            f"Compare it with the device's own, then add --fingerprint {shown.host_key}.",
        )
    if not confirm(shown):
        raise InputError(f"The host key of {shown.address} was not trusted.", "Nothing was changed.")


def _enrolment(address: str) -> Any:
    """What the transport of the address offers for a first contact."""
    scheme, _, rest = address.partition("://")
    if scheme == "openssh":  # the same pins and keys; only ssh can ask for a host key without trusting it
        scheme, address = "ssh", f"ssh://{rest}"
    for name in transports.names():
        member = transports.get(name)
        if scheme in member.schemes and hasattr(member, "enrolment"):
            return member.enrolment(address)
    raise ConfigError(f"'{address}' is no address that can be enrolled.", "Give one like ssh://user@host.")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
