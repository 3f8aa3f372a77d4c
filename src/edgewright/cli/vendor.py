"""The verbs about vendors' own tools: check-atc."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json

if TYPE_CHECKING:
    from edgewright.core.command import CommandReview


def check_atc(
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="The whole atc command in quotes; `-` reads it from stdin.")
    ],
    as_json: options.Json = False,
) -> int:
    """Explain each mistake in a command of Ascend's converter, and print the corrected command.

    Exit code 2 when there is an error, 0 when there are only warnings and notes.
    """
    from edgewright.pipeline.vendor import check_atc

    text = sys.stdin.read(1 << 20) if command == "-" else command
    review = check_atc(text)
    if as_json:
        write_json({**review.to_json(), "errors": len(review.errors)})
    else:
        _show(review)
    return 2 if review.errors else 0


def _show(review: CommandReview) -> None:
    for problem in review.problems:
        typer.echo(f"{problem.severity}: {problem.what}")
        typer.echo(f"    {problem.why}")
        if problem.remedy:
            typer.echo(f"    → {problem.remedy}")
    if not review.errors:
        typer.echo("No error found. As it is read:" if review.problems else "Nothing is wrong. As it is read:")
    else:
        typer.echo("\nCorrected:" if review.complete else "\nCorrected as far as can be said without you:")
    typer.echo(f"\n{review.corrected}")


VERBS = (check_atc,)
