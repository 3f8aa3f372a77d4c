"""Records: frozen dataclasses that know how to be JSON, and their digests.

Every result that crosses a stage, a process or a file is a `Record`. The JSON form is plain (tuples
become lists, paths become strings), so `from_json(to_json(x)) == x`, and the canonical form (sorted
keys, no spaces, RFC 8785 in spirit) is what digests are taken of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, Union, get_args, get_origin


class Record:
    """Base of every frozen dataclass that is stored or sent."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of this record; floats that JSON cannot say become null."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that `to_json` gave. Raises TypeError or ValueError on a foreign shape."""
        hints = _hints(cls)
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if not isinstance(data, Mapping) or not set(data) <= known:
            raise ValueError(f"not a {cls.__name__}: {str(data)[:120]}")
        return cls(**{key: _parse(hints[key], value) for key, value in data.items()})

    def fingerprint(self) -> str:
        """sha256 (hex) of the canonical JSON."""
        return digest_of(self)


def plain(value: Any) -> Any:
    """`value` as JSON types: records to objects, tuples to lists, paths to strings, NaN to null."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a numpy scalar
        return plain(value.item())
    return value


def canonical(value: Any) -> bytes:
    """The one byte string for a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(*values: Any) -> str:
    """sha256 (hex) of the canonical JSON of the values."""
    return hashlib.sha256(canonical(list(values))).hexdigest()


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _parse(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if kind is Any or origin is typing.Literal:
        return value
    if origin in (Union, types.UnionType):
        options = get_args(kind)
        if value is None and type(None) in options:
            return None
        for option in (o for o in options if o is not type(None)):
            try:
                return _parse(option, value)
            except (TypeError, ValueError):
                continue
        raise ValueError(f"not one of {kind}: {str(value)[:120]}")
    if origin is tuple:
        return _parse_tuple(get_args(kind), value)
    if origin is not None and issubclass(origin, Mapping):
        item = get_args(kind)[1]
        return {key: _parse(item, entry) for key, entry in dict(value).items()}
    if isinstance(kind, type):
        return _parse_plain(kind, value)
    return value


def _parse_tuple(args: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"not a list: {str(value)[:120]}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_parse(args[0], item) for item in value)
    if len(args) != len(value):
        raise ValueError(f"{len(args)} items wanted, {len(value)} given")
    return tuple(_parse(arg, item) for arg, item in zip(args, value, strict=True))


def _parse_plain(kind: type, value: Any) -> Any:
    if issubclass(kind, Record):
        return value if isinstance(value, kind) else kind.from_json(value)
    if kind is Path:
        return Path(value)
    if kind is float:
        if value is None:
            return math.nan
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"not a number: {value!r}")
        return float(value)
    if kind in (int, str, bool) and type(value) is not kind:
        raise TypeError(f"not {kind.__name__}: {str(value)[:120]!r}")
    return value
