"""The verb that writes code for others to keep: export-code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn

KINDS = ("program", "convert", "profile")


def export_code(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] CONFIG", help="program (the default), convert or profile; then a configuration."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.")],
    language: Annotated[str, typer.Option("--language", metavar="cpp", help="Of a program.")] = "cpp",
    backend: Annotated[
        str | None,
        typer.Option("--backend", metavar="ascendcl|openvino", help="What runs a program's model; else by family."),
    ] = None,
    target: options.Target = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write code: a C++ program, a conversion, a profiler.

    `program` is a complete CMake project that runs what the last run chose. `convert` is the vendor's conversion as a
    script with its configurations and calibration files, for a machine that has the toolkit; `build --import` takes
    the result back. `profile` is a script that benchmarks and profiles the PyTorch model on a training machine.
    """
    from edgewright.pipeline.project import open_project

    kind, config = _split(words)
    _refuse_to_fill(output, force)
    with drawn() as progress:
        project = open_project(config, target=target)
        if kind == "program":
            from edgewright.pipeline.export_program import export_program

            program = export_program(project, progress, language=language, backend=backend, out=output)
            told, notes = program.to_json(), program.notes
            following = f"cmake -S {output} -B {output}/build && cmake --build {output}/build"
        elif kind == "convert":
            from edgewright.pipeline.export_conversion import export_conversion

            conversion = export_conversion(project, progress, output)
            told, notes = conversion.to_json(), ()
            following = f"run what {output}/README.md says where the toolkit is"
        else:
            from edgewright.pipeline.export_profiler import export_profiler

            profiler = export_profiler(project, output)
            told, notes = profiler.to_json(), profiler.notes
            following = f"run what {output}/README.md says on the machine with the accelerator"
        for note in notes:
            progress.note(note)
    if as_json:
        write_json({"kind": kind, **told})
    else:
        typer.echo(f"{output} is written. Next: {following}")


def _split(words: list[str]) -> tuple[str, str]:
    """The kind and the configuration."""
    from edgewright.core.errors import InputError
    from edgewright.core.plugs import did_you_mean

    if len(words) == 1:
        return "program", words[0]
    if len(words) != 2:
        raise InputError("export-code takes a kind and one configuration.", "See `edgewright export-code --help`.")
    if words[0] not in KINDS:
        raise InputError(f"There is no code of the kind '{words[0]}'.", did_you_mean(words[0], KINDS))
    return words[0], words[1]


def _refuse_to_fill(folder: Path, force: bool) -> None:
    from edgewright.core.errors import InputError

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file.", "Name a folder with -o.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder} is not empty.", "Choose another folder with -o, or say --force.")


VERBS = (export_code,)
