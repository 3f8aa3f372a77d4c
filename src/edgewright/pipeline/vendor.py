"""Commands of vendors' tools, written by hand: what is wrong with them, and what was meant."""

from __future__ import annotations

from edgewright import targets
from edgewright.core.command import CommandReview
from edgewright.core.errors import ConfigError


def check_atc(text: str) -> CommandReview:
    """The review of a command of Ascend's converter. InputError where the text is none."""
    check = getattr(targets.get("cann"), "check_command", None)
    if check is None:
        raise ConfigError("The Ascend family here checks no commands.", "Install the one that comes with Edgewright.")
    review: CommandReview = check(text)
    return review
