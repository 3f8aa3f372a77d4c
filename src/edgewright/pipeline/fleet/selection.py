"""Selections: which devices are meant, in words such as `group=canary,site=a`.

    label=value     the label has that value (a device has several groups); * stands for anything in it
    label!=value    it has not
    label           it has the label
    a,b             both

`name`, `group` and `target` are labels that every device has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from edgewright.core.errors import ConfigError
from edgewright.core.record import Record

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
MOST_TERMS = 64


@dataclass(frozen=True)
class Term(Record):
    """One condition. `value` "*" with `wanted` asks only that the label is there."""

    label: str
    value: str
    wanted: bool = True

    def fits(self, labels: Mapping[str, Iterable[str]]) -> bool:
        return any(fnmatchcase(found, self.value) for found in labels.get(self.label, ())) == self.wanted


@dataclass(frozen=True)
class Selection(Record):
    """All terms must fit; none select every device."""

    terms: tuple[Term, ...] = ()

    def fits(self, labels: Mapping[str, Iterable[str]]) -> bool:
        return all(term.fits(labels) for term in self.terms)


def parse(text: str) -> Selection:
    """ConfigError for what is no selection."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MOST_TERMS:
        raise ConfigError(f"A selection has at most {MOST_TERMS} terms.", "Give the devices a label of their own.")
    return Selection(tuple(_term(part) for part in parts))


def _term(text: str) -> Term:
    label, found, value = text.partition("=")
    wanted = not label.endswith("!")
    label, value = label.rstrip("!").strip(), value.strip()
    if not LABEL.fullmatch(label) or (found and not value) or (not found and not wanted):
        raise ConfigError(
            f"'{text[:120]}' selects nothing that could be.", "Write label=value, as --select group=canary,site=a."
        )
    return Term(label, value if found else "*", wanted)


class Labelled(Protocol):
    """What has labels to be selected by."""

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]: ...


D = TypeVar("D", bound=Labelled)


def select(devices: Iterable[D], text: str) -> tuple[D, ...]:
    """Those that fit, in their order."""
    selection = parse(text)
    return tuple(device for device in devices if selection.fits(device.words))
