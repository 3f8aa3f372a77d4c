"""How progress is drawn: a bar on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

QUIET_S = 10.0
"""Where there is no terminal, a long stage says something this often."""


class Drawn(Protocol):
    """A `pipeline.progress.Progress` that is also a context."""

    def stage(self, name: str, detail: str = "") -> None: ...
    def step(self, done: int, total: int, detail: str = "") -> None: ...
    def note(self, text: str) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None: ...


def drawn() -> Drawn:
    return Bar() if sys.stderr.isatty() else Lines()


class Lines:
    """One line a stage, one every ten seconds within it."""

    def __init__(self) -> None:
        self._name = ""
        self._last = time.monotonic()

    def stage(self, name: str, detail: str = "") -> None:
        self._name, self._last = name, time.monotonic()
        _say(f"{name}: {detail}" if detail else name)

    def step(self, done: int, total: int, detail: str = "") -> None:
        if time.monotonic() - self._last >= QUIET_S:
            self._last = time.monotonic()
            _say(f"{self._name}: {done} of {total}{' ' + detail if detail else ''}")

    def note(self, text: str) -> None:
        _say(f"note: {text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        return None


class Bar:
    """The running stage as a bar with its time; finished stages scroll up with theirs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._text = ""
        self._began = time.monotonic()

    def stage(self, name: str, detail: str = "") -> None:
        self._finish()
        self._text, self._began = _clean(f"{name:<9} {detail}"), time.monotonic()
        self._task = self._progress.add_task(self._text, total=None)

    def step(self, done: int, total: int, detail: str = "") -> None:
        if self._task is not None:
            text = f"{self._text} · {_clean(detail)}" if detail else self._text
            self._progress.update(self._task, completed=done, total=total, description=text)

    def note(self, text: str) -> None:
        self._console.print(f"note      {_clean(text)}", style="dim", markup=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._finish(done=kind is None)
        self._progress.stop()

    def _finish(self, done: bool = True) -> None:
        if self._task is None:
            return
        self._progress.remove_task(self._task)
        self._task = None
        seconds = time.monotonic() - self._began
        if done and seconds >= 0.05:
            self._console.print(f"{self._text}  {seconds:.1f} s", markup=False)


def _say(text: str) -> None:
    sys.stderr.write(_clean(text) + "\n")
    sys.stderr.flush()


def _clean(text: str) -> str:
    """Names come from model files and devices: none of their control characters reaches a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
