"""A failed vendor tool as one ToolError: its own code, what that means, what to do.

The code is looked for in what the tool wrote (`E10016: …` of CANN 8, `[PID: n] time Title(E10016): …` of 9, then any
word of that form), the meaning in the vendor's table (error_codes.tsv, CANN 8.1), cause and remedy in ours
(symptoms.toml). What a tool writes is hostile: it is bounded, and control characters never reach a terminal.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.contracts import Completed
from edgewright.core.errors import ToolError
from edgewright.targets.cann import check_result as check_results
from edgewright.targets.cann.acl_codes import describe_acl

__all__ = ["Reported", "describe_acl", "meaning", "tool_error"]

LONGEST_OUTPUT = 256 * 1024  # characters of each stream that are looked at: half from its start, half from its end
LONGEST_MESSAGE = 400
CODE = re.compile(r"\b([EW][A-Z0-9]\d{4})\b")
BLOCK_9 = re.compile(
    r"^\[PID: ?\d{1,10}\] +\S{1,60} +(?P<title>[^()\n]{1,120}?) ?\((?P<code>[EW][A-Z0-9]\d{4})\): ?(?P<text>.*)$", re.M
)
BLOCK_8 = re.compile(r"^ *(?P<code>[EW][A-Z0-9]\d{4})(?:: ?|  ?)(?P<text>.*)$", re.M)
ADVICE = re.compile(r"^\s+(?:Solution|Possible Cause): *(.{1,400})$", re.M)
PLAIN = re.compile(r"^\s*(?:ERROR: |\[ERROR\]\S{0,80} ?|\S{0,40} ?error: |\w+Error: )(.{1,400})$", re.M | re.I)
VAGUE = re.compile(r"E([A-Z]9|19|89)999")
"""Codes of inner errors (E19999, EZ9999, EE9999 …): any other code of the same run says more."""
AMCT_LINE = re.compile(r"^(\s*\[ERROR\] ?AMCT\(\d{1,10},[^)]{1,40}\):[^\[\n]{1,40}\[[^\]\n]{1,60}\])", re.M)

SIGNALS = {137: "was killed, mostly for want of memory", 139: "crashed", 134: "aborted", 143: "was ended"}


@dataclass(frozen=True)
class Symptom:
    """One row of symptoms.toml."""

    codes: frozenset[str]
    match: re.Pattern[str] | None
    cause: str
    remedy: str

    def fits(self, code: str, text: str) -> bool:
        if self.codes and code not in self.codes:
            return False
        return self.match is None or self.match.search(text) is not None


@dataclass(frozen=True)
class Reported:
    """What the tool itself said: its code ("" where none), the title of the code, its words."""

    code: str
    title: str
    text: str


def tool_error(
    tool: str, completed: Completed, *, log: str = "", check_result: Mapping[str, Any] | None = None
) -> ToolError:
    """The ToolError of a run that failed. `log` is where its log was kept; `check_result` is atc's
    check_result.json (check_result.py), whose refused operators are named."""
    streams = [_bounded(completed.stdout), _bounded(completed.stderr)]
    written = AMCT_LINE.sub("ERROR: ", "\n".join(streams))  # its process, time and place say nothing to a user
    reported = _reported(written)
    symptom = _symptom(reported.code, f"{reported.text}\n{written}")
    message = [_headline(tool, completed.returncode, reported)]
    refused = check_results.refused(check_result or {})
    if refused:
        message.append(f"Refused operators: {', '.join(refused[:5])}{' and more' if len(refused) > 5 else ''}.")
    if symptom is not None:
        message.append(symptom.cause)
        remedy = symptom.remedy
    else:
        remedy = _vendors_advice(written) or "Run it again with more logging (--log=info) and read what it wrote."
    if log:
        remedy = f"{remedy} The log is {log}."
    return ToolError(" ".join(message), remedy, code=reported.code, log=log)


def meaning(code: str) -> tuple[str, str]:
    """(title, meaning) of a vendor's code by its own table, … where a value stands; ("", "") for an unknown one."""
    return _codes().get(code, ("", ""))


@functools.cache
def _codes() -> dict[str, tuple[str, str]]:
    lines = (Path(__file__).parent / "error_codes.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {code: (title, text) for code, title, text in (line.split("\t") for line in lines)}


@functools.cache
def _symptoms() -> tuple[Symptom, ...]:
    rows = tomllib.loads((Path(__file__).parent / "symptoms.toml").read_text(encoding="utf-8"))["symptom"]
    return tuple(
        Symptom(
            frozenset(row.get("codes", ())),
            re.compile(row["match"], re.IGNORECASE) if "match" in row else None,
            row["cause"],
            row["remedy"],
        )
        for row in rows
    )


def _symptom(code: str, text: str) -> Symptom | None:
    return next((symptom for symptom in _symptoms() if symptom.fits(code, text)), None)


def _bounded(text: str) -> str:
    """At most LONGEST_OUTPUT characters, no line longer than 2,000, nothing a terminal would obey."""
    if len(text) > LONGEST_OUTPUT:
        half = LONGEST_OUTPUT // 2
        text = f"{text[:half]}\n{text[-half:]}"
    text = re.sub(r"\x1b\[[0-9;?]{0,16}[A-Za-z]", "", text)
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return "\n".join(line[:2000] for line in text.split("\n"))


def _reported(text: str) -> Reported:
    """The first error that says something: a block with an E code, else a plain line of error, else a warning's."""
    found = [*_blocks(text), *(Reported(code, meaning(code)[0], "") for code in CODE.findall(text) if code in _codes())]
    errors = [one for one in found if one.code.startswith("E")]
    telling = [one for one in errors if not VAGUE.fullmatch(one.code)]
    plain = PLAIN.search(text)
    if telling:
        return next((one for one in telling if _says_something(one.text)), telling[0])
    if plain is not None and not any(one.text for one in errors if _says_something(one.text)):
        code = errors[0].code if errors else ""
        return Reported(code, "", plain[1].strip())
    speaking = [one for one in errors if _says_something(one.text)]
    return (speaking or errors or found or [Reported("", "", _last_line(text))])[0]


def _says_something(text: str) -> bool:
    return bool(text.strip()) and not re.match(r"(An )?(unknown|inner|internal) error\b", text, re.IGNORECASE)


def _blocks(text: str) -> Sequence[Reported]:
    found = []
    for match in (*BLOCK_9.finditer(text), *BLOCK_8.finditer(text)):
        code = match["code"]
        title = match.groupdict().get("title") or meaning(code)[0]
        words = re.sub(r"^\[PID: ?\d{1,10}\] +\S{1,60} +", "", match["text"].strip())  # as CANN 6 and 7 print it
        found.append((match.start(), Reported(code, title.replace("_", " ").strip(), words)))
        if len(found) > 200:
            break
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _vendors_advice(text: str) -> str:
    found = ADVICE.findall(text)
    return _sentence(found[-1]) if found else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" .")]
    return lines[-1] if lines else ""


def _headline(tool: str, status: int, reported: Reported) -> str:
    status = 128 - status if status < 0 else status
    if status in SIGNALS and not reported.code:
        return f"{tool} {SIGNALS[status]} (status {status})."
    if status == 127:
        return f"{tool} is not found: the environment of CANN is not set there."
    words = reported.text or meaning(reported.code)[1]
    name = f" with {reported.code}" if reported.code else ""
    title = f" ({reported.title})" if reported.title and reported.title.lower() not in words.lower() else ""
    if not words:
        return f"{tool} failed{name}{title} and gave no reason (status {status})."
    return f"{tool} failed{name}{title}: {_sentence(words)}"


def _sentence(words: str) -> str:
    words = " ".join(words.split())
    if len(words) > LONGEST_MESSAGE:
        words = f"{words[: LONGEST_MESSAGE - 1].rstrip()}…"
    return words if words.endswith((".", "…", "!", "?")) else f"{words}."
