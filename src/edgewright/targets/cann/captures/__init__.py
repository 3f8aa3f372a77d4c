"""Captures of Ascend's profilers, msprof and torch_npu.profiler, as profiles of our schema."""

from edgewright.targets.cann.captures.read import read

__all__ = ["read"]
