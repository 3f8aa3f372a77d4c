"""Huawei Ascend through CANN."""

from edgewright.targets.cann.target import Cann

MEMBER = Cann()
