"""Commands of vendors' tools, written by hand: what is wrong with them, and what was meant."""

from __future__ import annotations

from edgewright import targets
from edgewright.core.command import CommandReview
from edgewright.core.errors import ConfigError


def check_atc(text: str) -> CommandReview:
    """The review of a command of Ascend's converter. InputError where the text is none."""
    checks = [check for name in targets.names() if (check := getattr(targets.get(name), "check_command", None))]
    if not checks:
        raise ConfigError("No family here checks a converter's commands.", "Install the one that does.")
    review: CommandReview = checks[0](text)
    return review
