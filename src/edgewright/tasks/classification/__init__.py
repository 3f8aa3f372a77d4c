"""Classification: the README beside this file says what it does and how it was tested."""

from edgewright.tasks.classification.task import Classification

MEMBER = Classification()
