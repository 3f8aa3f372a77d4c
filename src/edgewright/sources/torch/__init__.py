"""Torch models; see README.md."""

from edgewright.sources.torch.source import TorchSource

MEMBER = TorchSource()
