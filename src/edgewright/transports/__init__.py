"""The transports plug room: one folder per member, found by listing."""

from edgewright.core.contracts import Transport
from edgewright.core.errors import ConfigError
from edgewright.core.plugs import Room, did_you_mean

ROOM: Room[Transport] = Room("transports", "transport")
get = ROOM.get
names = ROOM.names


def for_address(address: str) -> Transport:
    """The member whose schemes hold `address`'s: `local` → local, `ssh://user@host` → ssh. ConfigError if none."""
    scheme = address.split("://", 1)[0]
    members = ROOM.all()
    for member in members:
        if scheme in member.schemes:
            return member
    known = tuple(sorted(s for member in members for s in member.schemes))
    raise ConfigError(f"No transport reaches the device address '{address}'.", did_you_mean(scheme, known))
