"""The application: every verb registered, none imported further than its words."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright import __version__
from edgewright.cli import begin, field, story

app = typer.Typer(
    name="edgewright",
    help="From a trained network to a monitored service on an edge device, in one command.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgewright {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for group in (begin, story, field):
    for verb in group.VERBS:
        app.command(name=verb.__name__.rstrip("_"), no_args_is_help=False)(verb)
