"""Tensors: the README beside this file says what it does and how it was tested."""

from edgewright.tasks.tensors.task import Tensors

MEMBER = Tensors()
