"""Plug rooms: the folder is the registry. List it, import a member only when it is asked for.

A member of `edgewright/targets/` is a sub-folder with an `__init__.py` that defines `MEMBER`. Others
ship one in a wheel of their own through the entry-point group `edgewright.<room>`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar

from edgewright.core.errors import ConfigError

M = TypeVar("M")


class Room(Generic[M]):
    """One axis of change: `names()` lists the members, `get(name)` imports one."""

    def __init__(self, name: str, noun: str) -> None:
        self.name, self.noun = name, noun
        self.folder = Path(__file__).parent.parent / name
        self._seen: tuple[tuple[str, ...], dict[str, object]] = ((), {})

    def names(self) -> tuple[str, ...]:
        found = {p.parent.name for p in self.folder.glob("*/__init__.py")} | set(self._foreign())
        return tuple(sorted(found))

    def get(self, name: str) -> M:
        """The member of that name; ConfigError with a "did you mean" where there is none."""
        if (self.folder / name / "__init__.py").is_file() and name.isidentifier():
            module = importlib.import_module(f"edgewright.{self.name}.{name}")
            return module.MEMBER  # type: ignore[no-any-return]
        if foreign := self._foreign().get(name):  # looked for last: it takes long
            return foreign.load()  # type: ignore[attr-defined, no-any-return]
        raise ConfigError(f"There is no {self.noun} called '{name}'.", did_you_mean(name, self.names()))

    def place(self, name: str) -> Path:
        """The folder of a member's files, wherever it is installed; its `ondevice.py` lies there."""
        own = self.folder / name
        if (own / "__init__.py").is_file():
            return own
        foreign = self._foreign().get(name)
        spec = importlib.util.find_spec(foreign.module) if foreign else None  # type: ignore[attr-defined]
        if spec is None or not spec.origin:
            raise ConfigError(f"There is no {self.noun} called '{name}'.", did_you_mean(name, self.names()))
        return Path(spec.origin).parent

    def all(self) -> tuple[M, ...]:
        return tuple(self.get(name) for name in self.names())

    def _foreign(self) -> dict[str, object]:
        """Looked for once for each search path: it takes milliseconds, and a fleet has a thousand devices."""
        path = tuple(sys.path)
        if self._seen[0] != path:
            self._seen = (path, {e.name: e for e in entry_points(group=f"edgewright.{self.name}")})
        return self._seen[1]


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """The remedy for an unknown name: the nearest known one, or the whole list."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean '{near[0]}'?"
    return "Known: " + ", ".join(known) + "."
