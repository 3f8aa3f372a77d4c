"""A reader for the protobuf text format, as AIPP and AMCT configurations use it: names, scalars, nested blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(\#[^\n]*)|("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|([{}<>:;,\[\]])|([^\s{}<>:;,\[\]"'#]+))"""
)
LARGEST = 1 << 20

Block = dict[str, list[Any]]  # every field is a list: the format allows each to repeat


class ProtoTextError(ValueError):
    """The text is not in the format; the message says where."""


def parse(text: str) -> Block:
    """Every field with its values in order: str, int, float, bool or a nested Block."""
    if len(text) > LARGEST:
        raise ProtoTextError("the file is larger than a configuration can be")
    return _fields(_tokens(text), closing=None, depth=0)


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            if text[at:].strip():
                raise ProtoTextError(f"unreadable text at character {at}: {text[at : at + 20]!r}")
            return
        at = match.end()
        comment, quoted, mark, word = match.groups()
        if comment is not None:
            continue
        if quoted is not None:
            yield quoted[1:-1].encode().decode("unicode_escape", "replace"), True
        else:
            yield (mark or word), False


def _fields(tokens: Iterator[tuple[str, bool]], closing: str | None, depth: int) -> Block:
    if depth > 32:
        raise ProtoTextError("blocks are nested too deep")
    block: Block = {}
    for name, quoted in tokens:
        if not quoted and name == closing:
            return block
        if not quoted and name in ";,":
            continue
        if quoted or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ProtoTextError(f"a field name was expected, not {name!r}")
        block.setdefault(name, []).extend(_values(tokens, name, depth))
    if closing is not None:
        raise ProtoTextError(f"'{closing}' is missing")
    return block


def _values(tokens: Iterator[tuple[str, bool]], name: str, depth: int) -> list[Any]:
    token, quoted = next(tokens, ("", False))
    if not quoted and token == ":":
        token, quoted = next(tokens, ("", False))
    elif quoted or token not in ("{", "<"):
        raise ProtoTextError(f"':' or '{{' is missing after {name}")
    if not quoted and token in ("{", "<"):
        return [_fields(tokens, "}" if token == "{" else ">", depth + 1)]
    if not quoted and token == "[":
        listed = []
        for item, is_text in tokens:
            if not is_text and item == "]":
                return listed
            if is_text or item != ",":
                listed.append(item if is_text else _scalar(item))
        raise ProtoTextError("']' is missing")
    if not quoted and token in ("", "}", ">", ":", ";", ",", "]"):
        raise ProtoTextError(f"{name} has no value")
    return [token if quoted else _scalar(token)]


def _scalar(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word, 0)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        return word
