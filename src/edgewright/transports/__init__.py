"""The transports plug room: one folder per member, found by listing."""

from edgewright.core.contracts import Transport
from edgewright.core.plugs import Room

ROOM: Room[Transport] = Room("transports", "transport")
get = ROOM.get
names = ROOM.names
