"""First contact with a device: the key it shows, pinned once the user has compared it; a key of ours, put
there under a password that is used once and kept nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError, InputError
from edgewright.transports import known_hosts
from edgewright.transports.address import Address
from edgewright.transports.carrier import Lost
from edgewright.transports.remote_link import open_link
from edgewright.transports.ssh.dial import Dialler, connect
from edgewright.transports.ssh.settings import knows, library, settings

INSTALL = """
import os, sys
line = sys.stdin.read().strip()
folder = os.path.join(os.path.expanduser("~"), ".ssh")
os.makedirs(folder, mode=0o700, exist_ok=True)
place = os.path.join(folder, "authorized_keys")
there = open(place, encoding="utf-8", errors="replace").read() if os.path.exists(place) else ""
if line.split()[1] in there.split():
    print("there")
else:
    with open(os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as out:
        out.write(("" if not there or there.endswith("\\n") else "\\n") + line + "\\n")
        out.flush()
        os.fsync(out.fileno())
    print("added")
"""


Ask = Callable[[], str | None]
"""Asks the user for the password; None where nobody can be asked."""


@dataclass(frozen=True)
class HostKey:
    """What a device showed. `known`: it is trusted already; `changed`: another key is known for it."""

    kind: str
    fingerprint: str
    public: str  # `type base64`
    known: bool
    changed: bool


class Enrolment:
    def __init__(self, address: Address) -> None:
        self._address = address

    async def host_key(self) -> HostKey:
        """The key the device shows now. DeviceError where it cannot be reached."""
        asyncssh = library()
        found = await asyncio.to_thread(settings, self._address)
        tunnel: list[Any] = []
        try:
            for hop in found.jumps:
                on_the_way = await asyncio.to_thread(settings, hop, via=self._address)
                tunnel.append(await connect(hop, on_the_way, tunnel[-1] if tunnel else None))
            options = {key: found.options[key] for key in ("host", "port", "config") if key in found.options}
            async with asyncio.timeout(found.options["connect_timeout"]):
                key = await asyncssh.get_server_host_key(**options, tunnel=tunnel[-1] if tunnel else None)
        except (asyncssh.Error, Lost, OSError) as error:
            reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error) or "no answer"
            raise DeviceError(
                f"{self._address} cannot be reached: {reason}.", "Check the address, and that it is on."
            ) from None
        finally:
            for connection in reversed(tunnel):
                connection.abort()
        if key is None:
            raise DeviceError(f"{self._address} shows no host key.", "Look at its SSH server.")
        public = " ".join(key.export_public_key().decode().split()[:2])
        port = found.port if found.port != 22 else None
        trusted = key in found.trusted.match(found.name, "", port)[0]
        other = knows(found.trusted, found.name, found.port) and not trusted
        return HostKey(key.get_algorithm(), key.get_fingerprint(), public, trusted, other)

    async def pin(self, key: HostKey) -> Path:
        """Trusts this key for this host from now on, in our own file; an older pin of ours is replaced. What the
        user's own files hold is theirs and stays."""
        found = await asyncio.to_thread(settings, self._address)
        return known_hosts.pin(found.name, found.port, key.public)

    def prepare_key(self, named: Path | None) -> tuple[Path, str]:
        """(private key, its public line). Without a name, an Ed25519 key of our own, made when it is first needed."""
        asyncssh = library()
        place = known_hosts.own_key() if named is None else named.expanduser()
        if named is None and not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = asyncssh.generate_private_key("ssh-ed25519", comment="edgewright")
            place.touch(mode=0o600)
            key.write_private_key(str(place))
            key.write_public_key(f"{place}.pub")
        public = Path(f"{place}.pub")
        try:
            line = (public if public.is_file() else place).read_text().strip()
            if line.startswith("-----"):
                line = asyncssh.read_private_key(str(place)).export_public_key().decode().strip()
            asyncssh.import_public_key(line)
        except (OSError, ValueError) as error:
            raise InputError(f"{place} is no key that can be used: {error}.", "Name a private key.") from None
        return place, line

    async def open(self, ask: Ask | None, identity: Path, root: str = "") -> tuple[Link, bool]:
        """A link that the key alone opens, and whether it had to be installed first: over a login by another key of
        the user's, else by the password that `ask` gives. DeviceError where neither is accepted."""
        with contextlib.suppress(known_hosts.RefusedLogin):
            return await self._open({"agent_path": None}, identity, root), False
        _, public = self.prepare_key(identity)
        link = await self._any_way(ask)
        try:
            await self._install(link, public)
        finally:
            await link.close()
        return await self._open({"agent_path": None}, identity, root), True

    async def _any_way(self, ask: Ask | None) -> Link:
        try:
            return await self._open({}, None, "")
        except known_hosts.RefusedLogin:
            password = ask() if ask is not None else None
        if password is None:
            raise DeviceError(
                f"{self._address} lets none of your keys in.",
                "Enrol it from a terminal, where its password can be asked for once, or name a key: ?identity=/path.",
            )
        try:
            extra = {"password": password, "password_auth": True, "kbdint_auth": True, "client_keys": None}
            return await self._open(extra, None, "")
        except known_hosts.RefusedLogin:
            raise DeviceError(
                f"{self._address} refused the password.",
                "Check the user and the password, or install a key there by other means.",
            ) from None

    async def _open(self, extra: dict[str, Any], identity: Path | None, root: str) -> Link:
        options = {**self._address.options, **({"identity": str(identity)} if identity else {})}
        place = Address(self._address.scheme, self._address.host, self._address.user, self._address.port, options)
        return await open_link(place, Dialler(place, **extra), root)

    async def _install(self, link: Link, public: str) -> None:
        """Adds the line to authorized_keys of the device, unless it is there."""
        done = await link.run([link.python, "-c", INSTALL], stdin=public + "\n")
        if done.stdout.strip() not in ("there", "added"):
            raise DeviceError(
                f"The key could not be installed on {self._address}: {done.stderr.strip()[-300:]}.",
                "Look at the rights of ~/.ssh there.",
            )
