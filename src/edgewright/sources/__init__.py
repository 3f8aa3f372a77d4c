"""The sources plug room: one folder per member, found by listing."""

from edgewright.core.contracts import Source
from edgewright.core.plugs import Room

ROOM: Room[Source] = Room("sources", "source")
get = ROOM.get
names = ROOM.names
