"""Addresses of devices behind SSH: `ssh://user@host:port?option=value`, as data.

Nothing here reaches a shell or an option parser unchecked: a host or a user that begins with `-` would be
an option of the system's ssh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from edgewright.core.errors import ConfigError
from edgewright.core.plugs import did_you_mean

OPTIONS = ("identity", "known_hosts", "config", "jump", "python", "bandwidth")
FORMAT = "Write `{scheme}://user@host:port`; the user and the port may be left out."

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]+)?")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\$+ -]{0,127}")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)")


@dataclass(frozen=True)
class Address:
    """`host` may be an alias of ssh_config; `user` "" and `port` 0 leave them to it. Options: `identity` (a
    private key), `known_hosts`, `config` (files), `jump` (user@host:port[,…]), `python` (the device's
    interpreter), `bandwidth` (bytes a second, with k, M or G)."""

    scheme: str
    host: str
    user: str = ""
    port: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The address without its options: what messages and cached results name."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}{host}{f':{self.port}' if self.port else ''}"

    @property
    def bandwidth(self) -> float:
        """Bytes a second, 0 for no limit."""
        return rate(self.options.get("bandwidth", ""))

    @property
    def jumps(self) -> tuple[Address, ...]:
        """The hosts on the way, nearest first, as the `jump` option says them."""
        return tuple(parse(f"{self.scheme}://{hop}") for hop in self.options.get("jump", "").split(",") if hop)


def parse(text: str) -> Address:
    """ConfigError where `text` is not an address, or holds a password."""
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError as error:
        raise ConfigError(f"'{text}' is not an address: {error}.", FORMAT.format(scheme="ssh")) from None
    remedy = FORMAT.format(scheme=parts.scheme or "ssh")
    if parts.password is not None:
        raise ConfigError(
            "An address holds no password.", "Leave it out; `edgewright enroll` asks for it once and keeps a key."
        )
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigError(f"'{text}' names a path.", "Give the device's folder as `root:` of the target.")
    host, user = _host(parts.netloc), unquote(parts.username or "")
    if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)):
        raise ConfigError(f"'{text}' is not an address of a device.", remedy)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in options.items():
        if name not in OPTIONS:
            raise ConfigError(f"An address has no option '{name}'.", did_you_mean(name, OPTIONS))
        if not value or any(ord(letter) < 32 for letter in value):
            raise ConfigError(f"The option '{name}' of '{text}' has no usable value.", remedy)
    found = Address(parts.scheme, host, user, port, options)
    _ = found.bandwidth, found.jumps  # refuses what they cannot be read from
    return found


def _host(netloc: str) -> str:
    """The host as written: urlsplit would make an alias lower case."""
    host = netloc.rpartition("@")[2]
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def rate(text: str) -> float:
    """`2M` → 2 000 000 bytes a second; "" → 0. ConfigError for anything else."""
    if not text:
        return 0.0
    found = _RATE.fullmatch(text)
    if not found or not float(found[1]):
        raise ConfigError(f"'{text}' is not a bandwidth.", "Write bytes a second, as 500k or 2M.")
    return float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[found[2].lower()]
