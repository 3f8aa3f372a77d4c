"""The null task: the README beside this file says what it is for."""

from edgewright.tasks.null.task import Null

MEMBER = Null()
