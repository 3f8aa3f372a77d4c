"""The targets plug room: one folder per member, found by listing."""

from edgewright.core.contracts import Target
from edgewright.core.plugs import Room

ROOM: Room[Target] = Room("targets", "target")
get = ROOM.get
names = ROOM.names
