"""How a stage tells what it is doing. The command line draws it; a library user may pass `Silent()`."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def stage(self, name: str, detail: str = "") -> None:
        """A stage begins ("build", "int8 for openvino")."""
        ...

    def step(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""
        ...

    def note(self, text: str) -> None:
        """A sentence worth keeping on the screen."""
        ...


class Silent:
    def stage(self, name: str, detail: str = "") -> None: ...

    def step(self, done: int, total: int, detail: str = "") -> None: ...

    def note(self, text: str) -> None: ...
