"""What is wrong with a hand-written command of a vendor's tool, and the command that does what was meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.core.record import Record


@dataclass(frozen=True)
class Problem(Record):
    """One mistake. `option` is as the tool spells it, without dashes ("" for the line as a whole).

    `what` says what is wrong, `why` what the tool does then or what is true instead, `remedy` what to write.
    """

    option: str
    severity: Literal["error", "warning", "note"]
    what: str
    why: str
    remedy: str


@dataclass(frozen=True)
class CommandReview(Record):
    """`corrected` is ready to paste (several commands where one does not do). `complete`: no error is left in it;
    where it is false, a problem says what only its author can know."""

    problems: tuple[Problem, ...]
    corrected: str
    complete: bool = True

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")
