"""The verbs of the story: run, and its stages one by one."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn


def run(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="Whether to end with a live service.")] = True,
    lang: options.Lang = "en",
    as_json: options.Json = False,
) -> int:
    """The whole story: from the model to a watched service.

    Benchmark, profile, plan, convert, quantise, check, choose, pack, deploy, watch, report. What is stored is not
    done again, and an interrupted run goes on where it was.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.run import run

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        result = run(project, progress, deploy=deploy, lang=lang)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.run(result)
    return result.exit_code


def profile(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    as_json: options.Json = False,
) -> None:
    """Where the time goes, operator by operator.

    The baseline and plain fp32 in every runtime that is here, in one schema, with what an expert would see in it.
    """
    from edgewright.pipeline.profile import profile
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        result = profile(project, progress)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.profile(result)


VERBS = (run, profile)
