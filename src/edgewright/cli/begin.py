"""The verbs one begins with: init, doctor, probe, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn


def init(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model file, module:factory or package://dist/path.")
    ] = None,
    classic: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="An older pipeline's eight-key config.json instead.")
    ] = None,
    data: options.Data = None,
    device: options.Device = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="FAMILY", help="The runtime family; OpenVINO where it is here.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Allow a model file that runs code when it is read.")] = False,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write; `-` is stdout.")
    ] = Path("edgewright.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a commented configuration that runs as it is."""
    from edgewright.cli import write
    from edgewright.core.errors import InputError
    from edgewright.pipeline.init import init, init_from_classic

    if (model is None) == (classic is None):
        raise InputError("init needs a model or --from config.json, and not both.", "See `edgewright init --help`.")
    to_file = str(output) != "-"
    if to_file:
        write.refuse_to_replace(output, force)
    with drawn() as progress:
        folder = output.absolute().parent if to_file else Path.cwd()
        if classic is not None:
            result = init_from_classic(classic, folder)
        else:
            assert model is not None
            result = init(model, folder, progress, data=data, device=device, target=target, trust=trust)
        for note in result.notes:
            progress.note(note)
    if to_file:
        write.whole(output, result.text)
    if as_json:
        write_json({**result.to_json(), "file": str(output) if to_file else ""})
    elif to_file:
        typer.echo(f"{output} is written. Next: edgewright run {output}")
    else:
        typer.echo(result.text, nl=False)


def doctor(
    target: Annotated[
        str | None, typer.Option("--target", metavar="FAMILY", help="Only this family; then it must be usable.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Say what this machine lacks, and the remedy."""
    from edgewright.cli import show
    from edgewright.pipeline.doctor import doctor, named
    from edgewright.store.cache import default_root

    with drawn() as progress:
        diagnosis = doctor(default_root(), progress, target=target)
    if as_json:
        write_json({"healthy": diagnosis.healthy, "checks": [check.to_json() for check in named(diagnosis)]})
    else:
        show.checks(named(diagnosis), diagnosis.healthy)
    return 0 if diagnosis.healthy else 3


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The page docs/configuration.md instead.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print the JSON Schema of the configuration."""
    import json

    from edgewright.core.schema import json_schema
    from edgewright.core.schema import markdown as page

    if as_json:
        write_json({"markdown": page()} if markdown else json_schema())
    else:
        typer.echo(page() if markdown else json.dumps(json_schema(), indent=2), nl=not markdown)


VERBS = (init, doctor, schema)
