"""A link that plays a script. The first answer whose `argv` pattern matches is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from edgewright.core.contracts import Completed, Process, Stat
from edgewright.core.errors import DeviceError
from edgewright.core.record import Record


@dataclass(frozen=True)
class Answer(Record):
    """`argv` holds shell-style patterns, one a word; a last `**` matches any rest. `echo` gives stdin
    (or, line by line, what is written) back. `seconds` is how long the program pretends to take."""

    argv: tuple[str, ...]
    returncode: int = 0
    stdout: str = ""
    stderr: str = ""
    echo: bool = False
    seconds: float = 0.0

    def matches(self, argv: Sequence[str]) -> bool:
        rest = bool(self.argv) and self.argv[-1] == "**"
        patterns = self.argv[:-1] if rest else self.argv
        enough = len(argv) >= len(patterns) if rest else len(argv) == len(patterns)
        return enough and all(fnmatchcase(word, pattern) for word, pattern in zip(argv, patterns, strict=False))


@dataclass(frozen=True)
class Script(Record):
    """What a fake device knows: its interpreter's name, its answers in order, its files (path → text)."""

    answers: tuple[Answer, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    python: str = "python3"


class FakeLink:
    shares_files = False

    def __init__(self, address: str, script: Script, root: str) -> None:
        self.address, self.python, self.root = address, script.python, root
        self.scratch = f"{root}/scratch"
        self.ran: list[tuple[str, ...]] = []  # every argv, in order
        self.files = {self._path(path): text.encode() for path, text in script.files.items()}
        self._answers = script.answers
        self._closed = False

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        answer = self._answer(argv)
        if answer.seconds > timeout_s:
            raise DeviceError(f"{argv[0]} did not end within {timeout_s:g} s.", "The script says that it takes longer.")
        return Completed(answer.returncode, stdin if answer.echo else answer.stdout, answer.stderr)

    async def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        return FakeProcess(self._answer(argv))

    async def put(self, local: Path, remote: str) -> None:
        self._check_open()
        try:
            sources = [p for p in sorted(local.rglob("*")) if p.is_file()] if local.is_dir() else [local]
            for source in sources:
                self.files[self._path(remote) / source.relative_to(local)] = source.read_bytes()
        except (OSError, ValueError) as error:
            raise DeviceError(f"{local} cannot be read: {error}.", "Check its name and rights.") from None

    async def get(self, remote: str, local: Path) -> None:
        self._check_open()
        found = {p: data for p, data in self.files.items() if p.is_relative_to(self._path(remote))}
        if not found:
            raise DeviceError(f"The fake device has no {remote}.", "Put it there, or name it in the script.")
        for path, data in found.items():
            target = local / path.relative_to(self._path(remote))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    async def stat(self, remote: str) -> Stat | None:
        self._check_open()
        path = self._path(remote)
        if path in self.files:
            return Stat(len(self.files[path]), False)
        return Stat(0, True) if any(p.is_relative_to(path) for p in self.files) else None

    async def close(self) -> None:
        self._closed = True

    def _path(self, remote: str) -> PurePosixPath:
        return PurePosixPath(self.root) / remote

    def _answer(self, argv: Sequence[str]) -> Answer:
        self._check_open()
        self.ran.append(tuple(argv))
        for answer in self._answers:
            if answer.matches(argv):
                return answer
        raise DeviceError(f"The fake device has no program {argv[0]!r}.", "Add an answer for it to the script.")

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("The link to the fake device is closed.", "Open it again.")


class FakeProcess:
    """Gives the answer's stdout line by line, then (with `echo`) every line that was written."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._lines = answer.stdout.splitlines()
        self._stopped = False

    async def write_line(self, line: str) -> None:
        if self._stopped:
            raise DeviceError("The fake program has ended.", "Start it again.")
        if "\n" in line:
            raise DeviceError("A line holds a line feed.", "Send it as two lines.")
        if self._answer.echo:
            self._lines.append(line)

    async def read_line(self, timeout_s: float | None = None) -> str:
        if self._lines:
            return self._lines.pop(0)
        if self._answer.echo and not self._stopped:
            await asyncio.sleep(0)
            raise DeviceError("The fake program says nothing.", "Write a line first.")
        return ""

    async def stderr_tail(self) -> str:
        return self._answer.stderr

    async def stop(self) -> int:
        self._stopped = True
        return self._answer.returncode
