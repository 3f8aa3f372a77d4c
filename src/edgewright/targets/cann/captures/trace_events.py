"""Chrome's trace event format, one event at a time: the file may be larger than memory should hold.

Either a bare list of events, or an object whose "traceEvents" are that list. A file that was cut is refused: its last
bracket is missing.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from edgewright.targets.cann.captures.table import check_whole, damaged

CHUNK = 1 << 20
MAX_EVENT = 4 << 20
MAX_EVENTS = 5_000_000
_DECODER = json.JSONDecoder(parse_float=Decimal)


def events(path: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a bare list, or of the "traceEvents" of an object. InputError where the file is no such thing."""
    check_whole(path)
    with path.open("rb") as stream:
        text = _Text(path, stream)
        opening = text.skip()
        if opening == "{":
            _to_events(text)
        elif opening == "[":
            text.take(1)
        else:
            raise damaged(path, "it is no list of trace events")
        yield from _items(text)
        if opening == "[" and text.skip():
            raise damaged(path, "something follows its end")


def _to_events(text: _Text) -> None:
    """Moves behind the bracket that opens "traceEvents"."""
    text.take(1)
    while text.skip() != "}":
        key = text.value()
        if not isinstance(key, str) or text.skip() != ":":
            raise damaged(text.path, "it is no JSON object")
        text.take(1)
        opening = text.skip()
        if key == "traceEvents":
            if opening != "[":
                raise damaged(text.path, "its traceEvents are no list")
            text.take(1)
            return
        text.value()
        if text.skip() == ",":
            text.take(1)
    raise damaged(text.path, "it has no traceEvents")


def _items(text: _Text) -> Iterator[Mapping[str, Any]]:
    """The objects of a list whose bracket is already read, and its closing bracket."""
    if text.skip() == "]":
        text.take(1)
        return
    for number in range(MAX_EVENTS + 1):
        event = text.value()
        if not isinstance(event, dict):
            raise damaged(text.path, f"its event {number + 1} is no object")
        yield event
        following = text.skip()
        if following not in (",", "]"):
            raise damaged(text.path, f"it was cut after {number + 1} events" if not following else "it is not JSON")
        text.take(1)
        if following == "]":
            return
    raise damaged(text.path, f"it has over {MAX_EVENTS} events")


class _Text:
    """A window over the file's text that grows only as far as one value needs."""

    def __init__(self, path: Path, stream: Any) -> None:
        self.path, self._stream = path, stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def skip(self) -> str:
        """The next character that is no white space, left unread; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self, count: int) -> None:
        self._at += count

    def value(self) -> Any:
        """The next JSON value."""
        self.skip()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise damaged(self.path, "it is nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._at > MAX_EVENT:
                    raise damaged(self.path, f"it is not JSON ({error})"[:200]) from None
                if not self._more():
                    raise damaged(self.path, "it was cut, or is not JSON") from None
                continue
            if end < len(self._text) or self._ended:  # a number at the window's edge may go on
                self._at = end
                return value
            self._more()

    def _more(self) -> bool:
        if self._ended:
            return False
        block = self._stream.read(CHUNK)
        self._ended = not block
        try:
            fresh = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError:
            raise damaged(self.path, "it holds bytes that are not UTF-8") from None
        self._text, self._at = self._text[self._at :] + fresh, 0
        return bool(block)
