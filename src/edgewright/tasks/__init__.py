"""The tasks plug room: one folder per member, found by listing."""

from edgewright.core.contracts import Task
from edgewright.core.plugs import Room

ROOM: Room[Task] = Room("tasks", "task")
get = ROOM.get
names = ROOM.names
