"""The verbs on a fleet's file: the field verbs hand over to these when they see one."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn
from edgewright.core.errors import InputError

if TYPE_CHECKING:
    from edgewright.pipeline.fleet.hub import Standing

Select = Annotated[
    str,
    typer.Option("--select", metavar="LABELS", help="With a fleet's file: only these devices, as group=canary,site=a."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="With a fleet's file: do not ask first.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="With a fleet's file: go on after a pause; what failed is tried again.")
]
Pause = Annotated[
    bool, typer.Option("--pause", help="With a fleet's file: begin no further device; what is at work ends.")
]
Abort = Annotated[bool, typer.Option("--abort", help="With a fleet's file: as --pause, and for good.")]


def means(what: str | None) -> bool:
    """Whether WHAT is a fleet's file."""
    from edgewright.pipeline.fleet.config import is_fleet

    return what is not None and is_fleet(Path(what).expanduser())


def only_fleets(**options: Any) -> None:
    """InputError for an option that goes with a fleet's file alone."""
    for name, value in options.items():
        if value:
            raise InputError(f"--{name} goes with a fleet's file.", "Leave it out, or name a file that has `fleet:`.")


def only_devices(**options: Any) -> None:
    """InputError for an option that goes with one project's devices."""
    for name, value in options.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} does not go with a fleet's file.", "Select with --select.")


def deploy(
    what: str, selection: str, *, dry_run: bool, yes: bool, resume: bool, pause: bool, abort: bool, as_json: bool
) -> int:
    """A rollout over the fleet; 0 where every device serves the release."""
    from edgewright.cli import fleet_view
    from edgewright.pipeline.fleet import hub
    from edgewright.pipeline.fleet.field import plans
    from edgewright.pipeline.fleet.fleet import open_fleet
    from edgewright.pipeline.fleet.releases import releases

    if sum((resume, pause, abort, dry_run)) > 1:
        raise InputError("--dry-run, --resume, --pause and --abort exclude each other.", "Say one of them.")
    fleet = open_fleet(what, selection=selection)
    if pause or abort:
        return _result(hub.ask(fleet, "abort" if abort else "pause"), as_json, asked=True)
    with drawn() as progress:
        found = releases(fleet, progress)
    if dry_run:
        planned = plans(fleet, found)
        if as_json:
            write_json({"dry_run": True, "fleet": fleet.name, "devices": [plan.to_json() for plan in planned]})
        else:
            fleet_view.planned(planned)
        return 0
    _confirmed(len(fleet.devices), yes)
    with fleet_view.live() as view:
        standing = hub.carry_out(fleet, found, resume=resume, tell=view.tell)
    return _result(standing, as_json)


def status(what: str, selection: str, *, as_json: bool) -> int:
    """Every device by its own word, and the newest rollout; 3 where a device could not be asked."""
    from edgewright.cli import fleet_view
    from edgewright.pipeline.fleet import hub
    from edgewright.pipeline.fleet.field import statuses
    from edgewright.pipeline.fleet.fleet import open_fleet
    from edgewright.pipeline.fleet.rollout import OFFLINE

    fleet = open_fleet(what, selection=selection)
    found, standing = statuses(fleet), hub.standing(fleet)
    if as_json:
        rollout = standing.rollout.to_json() if standing else None
        write_json({"fleet": fleet.name, "rollout": rollout, "devices": [device.to_json() for device in found]})
    else:
        fleet_view.devices(found, standing)
    return 3 if any(device.state == OFFLINE for device in found) else 0


def rollback(what: str, selection: str, *, dry_run: bool, as_json: bool) -> int:
    """The selected devices back to their release before; 3 where one of them did not do it."""
    from edgewright.cli import fleet_view
    from edgewright.pipeline.fleet.field import LEFT, ROLLED_BACK, roll_back
    from edgewright.pipeline.fleet.fleet import counted, open_fleet

    fleet = open_fleet(what, selection=selection)
    with nullcontext() if as_json else drawn() as progress:
        if progress is not None:
            progress.stage("rollback", f"{counted(len(fleet.devices))} of {fleet.name}")
        found = roll_back(fleet, dry_run=dry_run)
    if as_json:
        write_json({"dry_run": dry_run, "fleet": fleet.name, "devices": [item.to_json() for item in found]})
    else:
        fleet_view.rolled_back(found, dry_run)
    return 0 if all(item.state in (ROLLED_BACK, LEFT) for item in found) else 3


def logs(what: str, selection: str, lines: int, *, as_json: bool) -> None:
    """The end of each service's log."""
    from edgewright.cli import show
    from edgewright.pipeline.fleet.field import logs
    from edgewright.pipeline.fleet.fleet import open_fleet

    found = logs(open_fleet(what, selection=selection), lines)
    if as_json:
        write_json({"logs": [log.to_json() for log in found]})
    else:
        show.logs(found)


def exec_golden(what: str, selection: str, *, as_json: bool) -> int:
    """The golden samples on every device now; 1 where an answer is another one, 3 where a device could not be asked."""
    from edgewright.cli import show
    from edgewright.pipeline.fleet.field import exec_golden
    from edgewright.pipeline.fleet.fleet import open_fleet

    found, failed = exec_golden(open_fleet(what, selection=selection))
    if as_json:
        write_json({"devices": [device.to_json() for device in found], "failed": failed})
    else:
        show.replayed(found)
        for name, said in failed.items():
            typer.echo(f"{name}: {said}")
    return 1 if any(device.mismatches for device in found) else 3 if failed else 0


def _confirmed(count: int, yes: bool) -> None:
    from edgewright.pipeline.fleet.fleet import counted

    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"This would change up to {counted(count)}.", "Say --yes, or look first with --dry-run.")
    typer.confirm(f"Deploy to up to {counted(count)}?", abort=True, err=True)


def _result(standing: Standing, as_json: bool, asked: bool = False) -> int:
    from edgewright.cli import fleet_view

    if as_json:
        write_json(standing.described())
    else:
        fleet_view.final(standing)
    return 0 if asked or standing.rollout.state == "complete" else 1
