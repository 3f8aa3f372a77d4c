"""What exporters write into `metadata_props`: Ultralytics' keys (names, stride, imgsz, task) and our own."""

from __future__ import annotations

import ast
import json
from typing import Any

from edgewright.sources.families import Metadata

MAX_TEXT = 1 << 20


def read_metadata(proto: Any) -> Metadata:
    """The metadata of a ModelProto; a value that cannot be understood is left out, never an error."""
    found = {entry.key: entry.value for entry in proto.metadata_props if len(entry.value) <= MAX_TEXT}
    return Metadata(
        labels=_labels(_literal(found.get("names", ""))),
        task=found.get("task", "")[:40],
        stride=_stride(_literal(found.get("stride", ""))),
        size=_size(_literal(found.get("imgsz", ""))),
        anchors=_anchors(_literal(found.get("anchors", ""))),
    )


def _literal(text: str) -> Any:
    """JSON, or the Python literal that Ultralytics writes; None where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        by_index = {str(key): name for key, name in value.items()}
        value = [by_index.get(str(i)) for i in range(len(by_index))]
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return tuple(name[:200] for name in value)
    return ()


def _stride(value: Any) -> int:
    return value if type(value) is int and 1 <= value <= 1024 else 0


def _size(value: Any) -> tuple[int, int] | None:
    sides = [value, value] if type(value) is int else value
    if (
        isinstance(sides, (list, tuple))
        and len(sides) == 2
        and all(type(n) is int and 1 <= n <= 1 << 14 for n in sides)
    ):
        return sides[0], sides[1]
    return None


def _anchors(value: Any) -> tuple[tuple[tuple[float, float], ...], ...]:
    try:
        return tuple(tuple((float(w), float(h)) for w, h in level) for level in value or ())
    except (TypeError, ValueError):
        return ()
