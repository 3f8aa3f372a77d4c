"""Detection: the README beside this file says what it does and how it was tested."""

from edgewright.tasks.detection.task import Detection

MEMBER = Detection()
