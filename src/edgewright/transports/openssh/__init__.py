"""Devices behind SSH, reached by the system's own `ssh`: for hardware tokens, FIPS builds and settings that
only it knows. One connection is shared by all programs (ControlMaster)."""

from __future__ import annotations

from edgewright.core.contracts import Link
from edgewright.transports.address import parse
from edgewright.transports.openssh.dial import Dialler
from edgewright.transports.remote_link import open_link


class OpenSsh:
    """`openssh://user@host:port`; the host may be an alias of ssh_config. Without a root, `~/.edgewright` there."""

    name = "openssh"
    schemes = ("openssh",)

    async def open(self, address: str, *, root: str = "") -> Link:
        place = parse(address)
        return await open_link(place, Dialler(place), root)


MEMBER = OpenSsh()
