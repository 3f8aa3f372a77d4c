"""The host keys we were told to trust: `ssh/known_hosts` of the results' folder, in OpenSSH's format, beside
the user's own files. Only `edgewright enroll` writes it, after the user compared the fingerprint.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgewright.core.errors import DeviceError


def folder() -> Path:
    """Keys and pins of ours: `ssh/` of EDGEWRIGHT_HOME (or `.edgewright`)."""
    return (Path(os.environ.get("EDGEWRIGHT_HOME") or ".edgewright") / "ssh").absolute()


def pins() -> Path:
    return folder() / "known_hosts"


def own_key() -> Path:
    """The private key that enrolment makes where none is named."""
    return folder() / "id_ed25519"


def host_pattern(host: str, port: int) -> str:
    """As OpenSSH writes it: the port only where it is not 22."""
    return host if port in (0, 22) else f"[{host}]:{port}"


def pin(host: str, port: int, key: str) -> Path:
    """Adds or replaces the pinned key of a host; `key` is `type base64`. Whole or not at all."""
    place, pattern = pins(), host_pattern(host, port)
    kept = []
    if place.is_file():
        kept = [line for line in place.read_text().splitlines() if line.split(" ", 1)[0] != pattern]
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(prefix=".known_hosts-", dir=place.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("\n".join([*kept, f"{pattern} {key}"]) + "\n")
        out.flush()
        os.fsync(out.fileno())
    Path(temporary).replace(place)
    return place


class RefusedLogin(DeviceError):
    """The device accepts none of the keys that were offered."""


def unknown(address: str, fingerprint: str) -> DeviceError:
    shown = f" ({fingerprint})" if fingerprint else ""
    return DeviceError(
        f"The host key of {address}{shown} is not known here.",
        f"Compare it with the device's own and trust it: `edgewright enroll {address}`.",
    )


def changed(address: str, fingerprint: str) -> DeviceError:
    shown = f" is now {fingerprint}," if fingerprint else ""
    return DeviceError(
        f"The host key of {address}{shown} not the one that is known here: the device was set up anew, or somebody "
        "sits between.",
        f"Find out which; if it was set up anew, trust its new key: `edgewright enroll {address}`.",
    )


def refused(address: str) -> RefusedLogin:
    return RefusedLogin(
        f"{address} refused the login: it accepts none of the keys offered.",
        f"Install a key there with `edgewright enroll {address}`, or name one: ?identity=/path/of/key.",
    )
