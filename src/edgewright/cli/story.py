"""The verbs of the story: run, and its stages one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn

if TYPE_CHECKING:
    from edgewright.pipeline.deploy import DeployPlan
    from edgewright.pipeline.progress import Progress
    from edgewright.pipeline.project import Project
    from edgewright.pipeline.remote_profile import RemoteProfile


def run(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="Whether to end with a live service.")] = True,
    dry_run: options.DryRun = False,
    lang: options.Lang = "en",
    as_json: options.Json = False,
) -> int:
    """The whole story: from the model to a watched service.

    Benchmark, profile, plan, convert, quantise, check, choose, pack, deploy, watch, report. What is stored is not
    done again, and an interrupted run goes on where it was. With --dry-run everything is measured, nothing is
    installed, and what deploying would do is shown.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.run import run

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        result = run(project, progress, deploy=deploy and not dry_run, lang=lang)
        plans = _plans(project, progress) if dry_run and result.exit_code == 0 else ()
    if as_json:
        write_json({**result.to_json(), **({"plans": [plan.to_json() for plan in plans]} if dry_run else {})})
    else:
        from edgewright.cli import show

        show.run(result)
        show.plans(plans)
    return result.exit_code


def _plans(project: Project, progress: Progress) -> tuple[DeployPlan, ...]:
    from edgewright.pipeline.field import deploy

    return deploy(project, progress, dry_run=True).plans


def profile(
    what: Annotated[
        str | None,
        typer.Argument(metavar="WHAT", help="A configuration, a model file or a config.json; none with --import."),
    ] = None,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    capture: Annotated[
        str | None,
        typer.Option("--import", metavar="DIR", help="A profiler's output (msprof, torch_npu), a folder or one file."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Where the time goes, operator by operator.

    The baseline and plain fp32 in every runtime that is here, in one schema, with what an expert would see in it.
    With --import the output of a device's own profiler is read instead, and nothing is run. Where the configuration
    has `profile: {device: …}`, the PyTorch model is profiled on that machine, and what it wrote is imported.
    """
    if capture is not None:
        _import(capture, [what, data, device, target], as_json)
        return
    if what is None:
        raise typer.BadParameter("Missing argument 'WHAT' (or --import DIR).")
    from edgewright.pipeline.profile import profile
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        if project.config.profile.device:
            from edgewright.pipeline.remote_profile import profile_there

            there = profile_there(project, progress)
        else:
            result, there = profile(project, progress), None
    if there is not None:
        _show_remote(there, as_json)
    elif as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.profile(result)


def _show_remote(there: RemoteProfile, as_json: bool) -> None:
    if as_json:
        write_json(there.to_json())
    else:
        from edgewright.cli import show

        show.remote(there)


def _import(capture: str, beside: list[str | None], as_json: bool) -> None:
    from pathlib import Path

    from edgewright.pipeline.import_profile import import_profile

    if any(word is not None for word in beside):
        raise typer.BadParameter("--import reads what was recorded: it takes no model, data, device or target.")
    with drawn():
        result = import_profile(Path(capture).expanduser())
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.imported(result)


def probe(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    as_json: options.Json = False,
) -> None:
    """Measure the device: cores, memory, instructions, peaks."""
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.upto import probe

    with drawn() as progress:
        result = probe(open_project(what, data=data, device=device, target=target), progress)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.facts(result)


def plan(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    as_json: options.Json = False,
) -> None:
    """What would be built, in which order, and why.

    Measures and profiles the baseline on the device; builds nothing else.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.upto import plan

    with drawn() as progress:
        result = plan(open_project(what, data=data, device=device, target=target), progress)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.plan(result)


def build(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="DIR", help="Take back what `export-code convert` wrote and was converted."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Build every candidate of the plan, unmeasured; or take builds back that were converted elsewhere."""
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.upto import Built, build

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        if import_ is None:
            result = build(project, progress)
        else:
            from edgewright.pipeline.export_conversion import import_conversion

            taken = import_conversion(project, progress, import_)
            for name in taken.missing:
                progress.note(f"{name} was not converted: {import_} holds no .om of it.")
            result = Built({"imported": taken.artifacts})
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.built(result)


def check(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    as_json: options.Json = False,
) -> int:
    """Build, measure and judge every candidate, and choose.

    Accuracy is paired with the float model's, latency is raced against the baseline. Deploys nothing.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.upto import check

    with drawn() as progress:
        result = check(open_project(what, data=data, device=device, target=target), progress)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.run(result)
    return result.exit_code


def report(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The run, as `run --json` calls it; the newest if not said.")
    ] = None,
    lang: options.Lang = "en",
    as_json: options.Json = False,
) -> None:
    """Write the page of a stored run again, in English or Chinese."""
    from edgewright.pipeline.report import report
    from edgewright.store.cache import Store, default_root

    page = report(Store(default_root()), name, lang)
    if as_json:
        write_json({"report": str(page)})
    else:
        typer.echo(f"Report: {page}")


VERBS = (run, profile, probe, plan, build, check, report)
