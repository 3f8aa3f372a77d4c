"""The options of atc, read from the table beside this file (atc_options.toml; its head explains the columns)."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Option:
    """One row of the table."""

    name: str
    kind: str = "text"
    values: tuple[str, ...] = ()
    default: str = ""
    excludes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    never_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frameworks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: str = ""
    deprecated: str = ""
    instead: str = ""
    removed: str = ""
    note: str = ""
    source: str = "not confirmed"

    def suits(self, value: str, soc_version: str) -> bool:
        """Whether the chip knows this value; True where nothing is said."""
        chips = self.chips.get(value)
        bare = soc_version.removeprefix("Ascend")
        return chips is None or not bare or bare.startswith(chips)


@dataclass(frozen=True)
class Unreal:
    """Something that people write and atc does not have; `value` is empty for a whole option."""

    option: str
    value: str
    why: str
    instead: str
    int8: bool = False
    rename: str = ""


@functools.cache
def options() -> Mapping[str, Option]:
    """Every option by name, in the order of the table."""
    table = tomllib.loads((HERE / "atc_options.toml").read_text(encoding="utf-8"))
    return {name: Option(name, **{key: _frozen(value) for key, value in row.items()}) for name, row in table.items()}


@functools.cache
def unreal() -> Mapping[tuple[str, str], Unreal]:
    """What atc does not have, by (option, value)."""
    table = tomllib.loads((HERE / "not_atc.toml").read_text(encoding="utf-8"))
    rows = [Unreal(**{"value": "", **_renamed(row)}) for row in (*table["option"], *table["value"])]
    return {(row.option, row.value): row for row in rows}


def find(word: str) -> str:
    """The option that atc takes `word` (without dashes) for: `-` is `_`, an unambiguous beginning is enough; or ""."""
    name = word.replace("-", "_")
    if name in options():
        return name
    starting = [known for known in options() if name and known.startswith(name)]
    return starting[0] if len(starting) == 1 else ""


def beginning_with(word: str) -> tuple[str, ...]:
    """The options that `word` may stand for where it is ambiguous."""
    name = word.replace("-", "_")
    return tuple(known for known in options() if name and known.startswith(name))


def nearest(name: str, known: tuple[str, ...]) -> str:
    """The known spelling that comes closest, or ""."""
    by_case = {one.lower(): one for one in known}
    if name.lower() in by_case:
        return by_case[name.lower()]
    longer = [one for one in known if len(name) > 2 and one.startswith(name.lower())]
    near = longer if len(longer) == 1 else difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return near[0] if near else ""


def older(cann: str, than: str) -> bool:
    """Whether version `cann` ("8.1.RC1") comes before `than` ("9.0"); False where either is not known."""
    mine, other = (tuple(int(part) for part in re.findall(r"\d{1,6}", text)[:2]) for text in (cann, than))
    return bool(mine and other) and mine < other


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tuple(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"option" if key == "name" else key: value for key, value in row.items()}
