"""The null target: small graphs in plain numpy, for tests that need no runtime."""

from edgewright.targets.null.target import Null

MEMBER = Null()
