"""The ssh_config of one link: ours first (the first value wins), the user's after it.

A file, because jump hosts are reached by an ssh of their own that is told the file and no option.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from edgewright.core.errors import ConfigError
from edgewright.transports import known_hosts
from edgewright.transports.address import Address

USER_CONFIG, SYSTEM_CONFIG = "~/.ssh/config", "/etc/ssh/ssh_config"
TIMEOUT_S = 20.0
CONNECT_S = 20


async def write(address: Address, folder: Path, ssh: str) -> Path:
    """ConfigError where the user's configuration cannot be read."""
    theirs = folder / "theirs"
    theirs.write_text("".join(f"Include {quoted(name)}\n" for name in _sources(address)))
    said = await asyncio.to_thread(_effective, ssh, theirs, address)
    known = [*_named(address, "known_hosts"), str(known_hosts.pins()), *said.get("userknownhostsfile", [])]
    keys = _named(address, "identity") or [str(known_hosts.own_key()), *said.get("identityfile", [])]
    keys = [key for key in keys if Path(key).expanduser().is_file()]
    lines = [
        "Host *",
        "BatchMode yes",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UserKnownHostsFile " + " ".join(quoted(name) for name in known if name.lower() != "none"),
        *(f"IdentityFile {quoted(key)}" for key in keys),
        *(["IdentitiesOnly yes"] if "identity" in address.options else []),
        "ServerAliveInterval 15",
        "ServerAliveCountMax 3",
        f"ConnectTimeout {CONNECT_S}",
        "ForwardAgent no",
        "ForwardX11 no",
        "RequestTTY no",
        "RemoteCommand none",
        "PermitLocalCommand no",
        "LogLevel ERROR",
        "ControlPersist no",  # or the connection would leave the process that we end when we are done with it
        f"Include {quoted(str(theirs))}",
    ]
    place = folder / "config"
    place.write_text("\n".join(lines) + "\n")
    return place


def words(address: Address) -> list[str]:
    """The part of the command line that names the host; the host comes after `--`, never as an option."""
    jump = address.options.get("jump", "")
    found = ["-J", jump] if jump else []
    found += ["-p", str(address.port)] if address.port else []
    found += ["-l", address.user] if address.user else []
    return [*found, "--", address.host]


def quoted(text: str) -> str:
    """A word of ssh_config. ConfigError for what its quotes cannot hold."""
    if any(letter in text for letter in '"\\\n\r'):
        raise ConfigError(f"{text!r} cannot stand in an ssh configuration.", "Use a path without quotes in it.")
    return '"' + text.replace("%", "%%") + '"'


def _sources(address: Address) -> list[str]:
    named = _named(address, "config")
    return named or [USER_CONFIG, SYSTEM_CONFIG]


def _named(address: Address, option: str) -> list[str]:
    if option not in address.options:
        return []
    path = Path(address.options[option]).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"There is no file {path} ({option} of the address).", "Give the path of a file.")
    return [str(path)]


def _effective(ssh: str, file: Path, address: Address) -> dict[str, list[str]]:
    """What the user's configuration comes to for this host (`ssh -G`): only files are read, nothing is connected."""
    argv = [ssh, "-F", str(file), "-G", *words(address)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"ssh cannot read its configuration for {address}: {reason}.", "Mend that line.")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).extend(value.split() if name == "userknownhostsfile" else [value])
    return found
