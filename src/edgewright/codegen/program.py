"""The C++ project of a service: hand-written sources as they are, and one generated header."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.codegen.task_data import backend_of, task_data
from edgewright.core.recipe import ServiceSpec
from edgewright.core.record import Record

SOURCES = Path(__file__).parent / "cpp"
HEADER = "src/task_data.hpp"


@dataclass(frozen=True)
class Program(Record):
    """A written project: `backend` is what CMake takes unless told otherwise."""

    folder: Path
    backend: str
    files: tuple[str, ...]


def sources(service: ServiceSpec, backend: str | None = None) -> dict[str, bytes]:
    """The project's files by relative path. InputError where the program cannot do the task."""
    found = {
        path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in sorted(SOURCES.rglob("*")) if path.is_file()
    }
    found[HEADER] = task_data(service, backend_of(service, backend)).encode("utf-8")
    return found


def write_program(
    service: ServiceSpec, folder: Path, *, backend: str | None = None, beside: Mapping[str, Path] | None = None
) -> Program:
    """Writes the project into `folder`, with the files `beside` (relative path → file) copied to it: the model,
    service.json, golden samples."""
    chosen = backend_of(service, backend)
    files = sources(service, chosen)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:  # else a build of this folder would begin anew
            path.write_bytes(content)
    for name, source in (beside or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    return Program(folder, chosen, tuple(sorted([*files, *(beside or {})])))
