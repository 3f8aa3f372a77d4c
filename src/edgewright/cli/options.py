"""The words that several verbs share, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

What = Annotated[
    str,
    typer.Argument(metavar="WHAT", help="A configuration (.yaml), a model file, or an older pipeline's config.json."),
]
MaybeWhat = Annotated[
    str | None,
    typer.Argument(metavar="WHAT", help="A configuration, a model file or a config.json; nothing means all."),
]
WhatOrFleet = Annotated[
    str,
    typer.Argument(
        metavar="WHAT", help="A configuration or a fleet's file (.yaml), a model file, or an older config.json."
    ),
]
MaybeWhatOrFleet = Annotated[
    str | None,
    typer.Argument(
        metavar="WHAT", help="A configuration, a fleet's file, a model file or a config.json; nothing means all here."
    ),
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="With a model file: a data.yaml, or a folder of images."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="ADDRESS", help="With a model file: `local`, or where the device is."),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Only the target of this name; with a model file, the family."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress goes to stderr.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Break another operator's lease of the device; see `edgewright status`.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done on the device, and do nothing.")]
Lang = Annotated[str, typer.Option("--lang", metavar="en|zh", help="Language of the report.")]
