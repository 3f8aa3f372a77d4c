"""Devices behind SSH, spoken by asyncssh inside this process: the usual way to reach a board."""

from __future__ import annotations

from edgewright.core.contracts import Link
from edgewright.transports.address import parse
from edgewright.transports.remote_link import open_link
from edgewright.transports.ssh.dial import Dialler
from edgewright.transports.ssh.enrolment import Enrolment


class Ssh:
    """`ssh://user@host:port`; the host may be an alias of ssh_config. Without a root, `~/.edgewright` there."""

    name = "ssh"
    schemes = ("ssh",)

    async def open(self, address: str, *, root: str = "") -> Link:
        place = parse(address)
        return await open_link(place, Dialler(place), root)

    def enrolment(self, address: str) -> Enrolment:
        """The first contact with a device: its host key, and a key of ours put there."""
        return Enrolment(parse(address))


MEMBER = Ssh()
