"""The verbs as words: `edgewright VERB …`. Each is a thin shell over the library function of the same name."""

from __future__ import annotations

import sys


def main() -> None:
    """The `edgewright` command."""
    from edgewright.cli.boundary import guarded

    sys.exit(guarded(sys.argv[1:]))
