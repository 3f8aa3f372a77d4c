"""The application: every verb registered, none imported further than its words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer

from edgewright import __version__
from edgewright.cli import begin, bundle, enroll, export, field, story, vendor
from edgewright.cli.boundary import Carried

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


def _carrying(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Typer has ideas of its own about three kinds of error; carried, they reach our boundary as they are."""

    @functools.wraps(verb)
    def call(*words: Any, **options: Any) -> Any:
        try:
            return verb(*words, **options)
        except (EOFError, KeyboardInterrupt, OSError) as error:
            raise Carried(error) from error

    return call


def _named(verb: Callable[..., Any]) -> str:
    return verb.__name__.rstrip("_").replace("_", "-")


for group in (begin, enroll, story, field, vendor, export):
    for verb in group.VERBS:
        app.command(name=_named(verb), no_args_is_help=False)(_carrying(verb))

bundles = typer.Typer(help=bundle.HELP, no_args_is_help=True, rich_markup_mode=None)
for verb in bundle.VERBS:
    bundles.command(name=_named(verb), no_args_is_help=False)(_carrying(verb))
app.add_typer(bundles, name="bundle")
