"""How to connect to one host: ssh_config, keys and known hosts, read as OpenSSH would and made explicit.

Everything that asyncssh would choose by itself is given to it, because some of its choices are not ours: a
`UserKnownHostsFile none` would mean "trust everybody", and jump hosts would be checked against other files.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgewright.core.errors import ConfigError
from edgewright.transports import known_hosts
from edgewright.transports.address import Address, parse

SYSTEM_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
DEFAULT_KEYS = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")
KEEPALIVE_S, KEEPALIVES = 15, 3
CONNECT_S, LOGIN_S = 20, 40
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""First, unless ssh_config says otherwise. asyncssh takes four times as long for a packet by ChaCha20, which counts
where one process speaks to a thousand devices; and the Terrapin attack concerns that one, not these."""


@dataclass(frozen=True)
class Settings:
    """`name` is what known_hosts calls the host; `port` its real one. `options` go to asyncssh.connect."""

    name: str
    port: int
    user: str
    jumps: tuple[Address, ...]
    trusted: Any  # asyncssh.SSHKnownHosts
    options: dict[str, Any] = field(repr=False)


def settings(address: Address, *, via: Address | None = None) -> Settings:
    """Reads files: call it off the event loop. `via` is the device that this is a jump host of; its options
    hold for the way, too. ConfigError where a named file cannot be used."""
    asyncssh = library()
    options = {**(via.options if via else {}), **address.options}
    config = [str(_named(options["config"], "config"))] if "config" in options else ()
    asked: dict[str, Any] = {"host": address.host, "config": config}
    if address.user:
        asked["username"] = address.user
    if address.port:
        asked["port"] = address.port
    try:
        # client_keys: not loaded here, only what the configuration says of them is read.
        found = asyncssh.SSHClientConnectionOptions(**asked, client_keys=None, tunnel=())
    except (asyncssh.ConfigParseError, asyncssh.KeyImportError, ValueError, OSError) as error:
        raise ConfigError(f"ssh_config cannot be used for {address}: {error}.", "Mend that line.") from None
    said = found.config
    jumps = address.jumps if "jump" in address.options else () if via else _jumps(address.scheme, found.tunnel)
    files = _files(options, said.get("UserKnownHostsFile"), said.get("GlobalKnownHostsFile"))
    trusted = _trusted(files)
    keys = _keys(options, said.get("IdentityFile"))
    given = {
        **asked,
        "tunnel": None,
        "known_hosts": trusted,
        "client_keys": keys,  # an agent's come first
        "ignore_encrypted": True,
        "keepalive_interval": KEEPALIVE_S,
        "keepalive_count_max": KEEPALIVES,
        **({"encryption_algs": CIPHERS} if said.get("Ciphers") is None else {}),
        "connect_timeout": CONNECT_S,
        "login_timeout": LOGIN_S,
        "password_auth": False,
        "kbdint_auth": False,
        "x11_forwarding": False,
        "agent_forwarding": False,
        "request_pty": False,
        "command": None,
    }
    return Settings(found.host_key_alias or found.host, found.port, found.username, jumps, trusted, given)


def library() -> Any:
    """asyncssh, or a ConfigError that says how to get it."""
    if importlib.util.find_spec("asyncssh") is None:
        raise ConfigError(
            "Addresses that begin with ssh:// need the package asyncssh.",
            'Install it with `pip install "edgewright[ssh]"`, or write openssh:// to use the system\'s own client.',
        )
    import asyncssh

    return asyncssh


def knows(trusted: Any, name: str, port: int) -> bool:
    """Whether some key of this host is known, whichever it is."""
    return bool(trusted.match(name, "", port if port != 22 else None)[0])


def _jumps(scheme: str, said: Any) -> tuple[Address, ...]:
    if not isinstance(said, str) or said.lower() == "none":
        return ()
    return tuple(parse(f"{scheme}://{hop.removeprefix('ssh://')}") for hop in said.split(",") if hop)


def _files(options: dict[str, str], user: Any, system: Any) -> list[Path]:
    own = [_named(options["known_hosts"], "known_hosts")] if "known_hosts" in options else []
    said = [*(user or USER_KNOWN_HOSTS), *(system or SYSTEM_KNOWN_HOSTS)]
    return [*own, known_hosts.pins(), *(Path(name).expanduser() for name in said if name.lower() != "none")]


def _trusted(files: list[Path]) -> Any:
    """All entries together."""
    return _read_trusted(tuple((file, _stamp(file)) for file in files))


def _stamp(file: Path) -> tuple[int, ...]:
    """Another one where the file is another, or was written."""
    try:
        there = file.stat()
    except OSError:
        return ()
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns


@lru_cache(maxsize=8)
def _read_trusted(files: tuple[tuple[Path, tuple[int, ...]], ...]) -> Any:
    """Kept, as it is read for every device of a fleet, whose hosts are all in it. A line that cannot be understood is
    left out, as OpenSSH does."""
    asyncssh = library()
    found = asyncssh.SSHKnownHosts()
    for file, _ in files:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                found.load(line)
            except ValueError:
                continue
    return found


def _keys(options: dict[str, str], said: Any) -> list[str]:
    if "identity" in options:
        return [str(_named(options["identity"], "identity"))]
    files = [Path(name).expanduser() for name in said or ()]
    if not files:
        files = [Path("~/.ssh").expanduser() / name for name in DEFAULT_KEYS]
    return [str(file) for file in (known_hosts.own_key(), *files) if file.is_file()]


def _named(text: str, option: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ConfigError(f"There is no file {path} ({option} of the address).", "Give the path of a file.")
    return path
