"""A hand-written atc command taken apart, as a shell and then atc's own parser (getopt_long) would.

Of the shell only what such commands use: quotes, backslashes, comments, and where a command ends. What a shell would
have done with a mistake (a `;` without quotes ends the command) is told, and the line is read as it was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from edgewright.core.command import Problem
from edgewright.core.errors import InputError
from edgewright.targets.cann import atc_options

LONGEST_LINE = 64 * 1024
TYPOGRAPHIC = str.maketrans({
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "；": ";", "，": ",", "：": ":", "＝": "=", " ": " ",
})  # fmt: skip
ATC_LINE = re.compile(
    r"^[ \t]*(?:(?:sudo|env|time|nohup|exec|[$#>]|\w+=\S*)[ \t]+)*(?:\S*/)?atc(?:\.bin)?(?=\s|$)", re.M
)
"""The first command of atc in a script: what stands before it (cd, source set_env.sh) is not looked at."""
LEADERS = {"sudo", "env", "time", "nohup", "nice", "$", "#", ">", "exec"}
PASTE_AN_ATC = 'Give the whole command in quotes: edgewright check-atc "atc --model=… --framework=5 …".'


@dataclass
class Line:
    """`settings` by full name, the last of repeated ones; `unknown` are options that atc does not have."""

    before: tuple[str, ...] = ()
    program: str = "atc"
    settings: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse(text_or_argv: str | Sequence[str]) -> Line:
    """The command as it was meant. InputError where there is no atc command in it, or it is absurdly long."""
    line = Line()
    if isinstance(text_or_argv, str):
        words = _shell_words(text_or_argv, line)
    else:
        words = list(text_or_argv)
    if sum(map(len, words)) > LONGEST_LINE:
        raise InputError("The command is longer than 64 KiB.", PASTE_AN_ATC)
    _read_options(_after_program(words, line), line)
    return line


def _after_program(words: list[str], line: Line) -> list[str]:
    for at, word in enumerate(words):
        if PurePosixPath(word).name in ("atc", "atc.bin"):
            line.before, line.program = tuple(w for w in words[:at] if w not in ("$", "#", ">")), word
            return words[at + 1 :]
        if word.startswith("-"):
            return words[at:]
        if word not in LEADERS and not re.match(r"[A-Za-z_]\w*=", word):
            raise InputError(f"'{word[:60]}' is not atc, and only commands of atc are checked here.", PASTE_AN_ATC)
    raise InputError("There is no atc command in the text.", PASTE_AN_ATC)


def _read_options(words: list[str], line: Line) -> None:
    at = 0
    while at < len(words):
        written = words[at]
        at += 1
        word = re.sub(r"^-(?=[A-Za-z]{2,})", "--", written)
        if word == "-h":
            word = "--help"
        if not word.startswith("--") or len(word) == 2:
            line.problems.append(_stray(written))
            continue
        name, equals, value = word[2:].partition("=")
        known = atc_options.find(name)
        if known and atc_options.options()[known].kind == "switch":
            value = value if equals else "true"
        elif not equals:
            if at == len(words) or re.match(r"--[a-z]", words[at]):
                line.problems.append(_no_argument(name))
                continue
            value = words[at]
            at += 1
        _store(line, name, known, value)


def _store(line: Line, name: str, known: str, value: str) -> None:
    if not known:
        line.unknown[name] = value
        return
    if known in line.settings:
        what = f"--{known} is given twice, as '{line.settings[known]}' and as '{value}'."
        line.problems.append(Problem(known, "warning", what, "atc takes the last one.", "Keep one."))
    line.settings[known] = value


def _stray(word: str) -> Problem:
    return Problem(
        "", "error", f"'{word[:80]}' belongs to no option.", "atc stops with \"Non-option parameter\".",
        "Leave it away, or put quotes round the value that it is a part of.",
    )  # fmt: skip


def _no_argument(name: str) -> Problem:
    return Problem(
        name, "error", f"--{name} has no value.", f"atc stops with \"flag '{name}' is missing its argument\".",
        f"Write --{name}=<value>.",
    )  # fmt: skip


# -- what the shell does


def _shell_words(text: str, line: Line) -> list[str]:
    if len(text) > LONGEST_LINE:
        raise InputError("The command is longer than 64 KiB.", PASTE_AN_ATC)
    if any(c < " " and c not in "\t\r\n" for c in text):
        raise InputError("The command holds control characters.", PASTE_AN_ATC)
    plain = re.sub(r"(?<!\S)[–—―]{1,2}(?=[A-Za-z])", "--", text.translate(TYPOGRAPHIC)).replace("\r", "")
    if plain != text.replace("\r", ""):
        why = 'The shell and atc take them as letters; web pages and editors put them in place of " - ; and the like.'
        line.problems.append(Problem("", "error", "The command has typographic signs.", why, "Use the plain signs."))
    command = ATC_LINE.search(plain)
    return list(_words(plain[command.start() :] if command else plain, line))


def _words(text: str, line: Line) -> Iterator[str]:
    word: str | None = None
    before = ""
    at = 0
    while at < len(text):
        c = text[at]
        at += 1
        if c == "\\" and (end := re.compile(r"[ \t]*\n").match(text, at)):
            at = end.end()
        elif c == "\\" and at < len(text):
            word = (word or "") + text[at]
            at += 1
        elif c in "'\"":
            inside, at = _quoted(text, at, c, line)
            word = (word or "") + inside
        elif c.isspace() or (c == "#" and word is None and before):
            if c == "#":
                at = text.find("\n", at) if "\n" in text[at:] else len(text)
            if word is not None:
                yield word
                before, word = word, None
            if c == "\n" and before and not _goes_on(text[at:]):
                return
        elif c in ";|&<>" and not _meant_as_value(c, word, before, text[at : at + 1]):
            break
        else:
            if c == ";":
                _tell_quotes(line, word or before)
            word = (word or "") + c
    if word is not None:
        yield word


def _quoted(text: str, at: int, quote: str, line: Line) -> tuple[str, int]:
    """(what stands between, index after the closing quote)."""
    inside = []
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$", "`", "\n"):
            at += 1
            inside.append("" if text[at] == "\n" else text[at])
        else:
            inside.append(text[at])
        at += 1
    if at == len(text):
        what = f"A quote ({quote}) is not closed."
        line.problems.append(Problem("", "error", what, "The shell waits for its end.", "Close it."))
    return "".join(inside), at + 1


def _goes_on(rest: str) -> bool:
    """Whether the next line belongs to the command, although the backslash is missing."""
    return bool(re.match(r"\s*--?[A-Za-z]{2,}", rest))


def _meant_as_value(c: str, word: str | None, before: str, following: str) -> bool:
    in_value = bool(word) and ("=" in str(word) or before.startswith("-"))
    return c == ";" and in_value and following.strip() != ""


def _tell_quotes(line: Line, word: str) -> None:
    name = word.lstrip("-").partition("=")[0]
    if any(problem.option == name and "quotes" in problem.what for problem in line.problems):
        return
    line.problems.append(
        Problem(
            name, "error", f"The value of --{name} has `;` and no quotes.",
            "The shell ends the command at `;`, so atc sees only what stands before it (often E10054 or E10016).",
            f"Write --{name}=\"…;…\".",
        )
    )  # fmt: skip
