"""The verbs of the field: what is delivered, served and watched."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import fleet, options
from edgewright.cli.boundary import write_json
from edgewright.cli.progress import drawn

SETTLED = ("redeployed", "would be redeployed", "nothing to learn")


def stop(what: options.MaybeWhat = None, as_json: options.Json = False, dry_run: options.DryRun = False) -> None:
    """End the services of this machine, or those of a configuration on its devices.

    Without WHAT, those whose results lie in EDGEWRIGHT_HOME. Releases stay and can be deployed again.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.stop import running, stop, stop_targets
    from edgewright.store.cache import Store, default_root

    if what is not None:
        services = stop_targets(open_project(what), dry_run=dry_run)
    else:
        store = Store(default_root())
        services = running(store) if dry_run else stop(store)
    if as_json:
        write_json({"dry_run": dry_run, "stopped": [service.to_json() for service in services]})
        return
    for service in services:
        typer.echo(f"{'Would stop' if dry_run else 'Stopped'} {service.target} ({service.url or 'starting'}).")
    if not services:
        typer.echo("Nothing is running.")


def pack(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    as_json: options.Json = False,
) -> None:
    """Seal the chosen candidate into a bundle.

    An OCI image layout with its golden samples; the same inputs give the same digest.
    """
    from edgewright.pipeline.field import pack
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        result = pack(open_project(what, data=data, device=device, target=target), progress)
    if as_json:
        write_json(result.to_json())
        return
    for name, bundle in result.bundles.items():
        typer.echo(f"{name}: {bundle.path} ({bundle.size / 1e6:.1f} MB, sha256:{bundle.digest[:12]})")


def deploy(
    what: options.WhatOrFleet,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    dry_run: options.DryRun = False,
    take_over: options.TakeOver = False,
    select: fleet.Select = "",
    yes: fleet.Yes = False,
    resume: fleet.Resume = False,
    pause: fleet.Pause = False,
    abort: fleet.Abort = False,
    as_json: options.Json = False,
) -> int:
    """Make the chosen candidate live on its device, or releases on a fleet.

    It goes live only after the device itself replayed the golden samples; else the release before goes on serving.
    With a fleet's file: wave by wave, and where a hub was killed, from there. Exit code 1 where a rollout stopped.
    """
    if fleet.means(what):
        fleet.only_devices(data=data, device=device, target=target, take_over=take_over)
        return fleet.deploy(
            what, select, dry_run=dry_run, yes=yes, resume=resume, pause=pause, abort=abort, as_json=as_json
        )
    fleet.only_fleets(select=select, resume=resume, pause=pause, abort=abort)
    from edgewright.pipeline.field import deploy
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        result = deploy(project, progress, dry_run=dry_run, take_over=take_over)
    if as_json:
        write_json(result.to_json())
    else:
        from edgewright.cli import show

        show.deployed(result)
    return 0


def watch(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    for_s: Annotated[
        float | None, typer.Option("--for", min=0, metavar="SECONDS", help="How long; `watch.for_s` if not said.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Collect readings; a broken promise is an incident.

    Exit code 1 where there was one.
    """
    from edgewright.cli import show
    from edgewright.pipeline.field import watch
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        project = open_project(what, data=data, device=device, target=target)
        progress.stage("watch", project.name)
        found = watch(project, progress, for_s=for_s, tell=lambda event: progress.note(show.event(event)))
    if as_json:
        write_json({"targets": [watched.to_json() for watched in found]})
    else:
        show.watched(found)
    return 1 if any(watched.incidents for watched in found) else 0


def learn(
    what: options.What,
    data: options.Data = None,
    device: options.Device = None,
    target: options.Target = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> int:
    """Answer an incident: a better candidate, or none is.

    The candidates are raced again on the device as it is now; one that keeps the promise goes live. Exit code 1
    where the promise stays broken.
    """
    from edgewright.pipeline.field import learn
    from edgewright.pipeline.project import open_project

    with drawn() as progress:
        result = learn(open_project(what, data=data, device=device, target=target), progress, dry_run=dry_run)
    if as_json:
        write_json(result.to_json())
    else:
        for lesson in result.lessons:
            typer.echo(f"{lesson.target}: {lesson.outcome}. {lesson.sentence}")
    return 0 if all(lesson.outcome in SETTLED for lesson in result.lessons) else 1


def status(
    what: options.MaybeWhatOrFleet = None,
    target: options.Target = None,
    select: fleet.Select = "",
    as_json: options.Json = False,
) -> int:
    """What each device serves now.

    With a fleet's file: every device by its own word, and how the newest rollout stands; exit code 3 where one could
    not be asked.
    """
    if what is not None and fleet.means(what):
        fleet.only_devices(target=target)
        return fleet.status(what, select, as_json=as_json)
    fleet.only_fleets(select=select)
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.status import status
    from edgewright.store.cache import Store, default_root

    project = open_project(what, target=target) if what else None
    found = status(Store(default_root()), project)
    if as_json:
        write_json({"devices": [device.to_json() for device in found]})
    else:
        from edgewright.cli import show

        show.devices(found)
    return 0


def logs(
    what: options.MaybeWhatOrFleet = None,
    target: options.Target = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, metavar="N", help="How many, from the end.")] = 50,
    select: fleet.Select = "",
    as_json: options.Json = False,
) -> None:
    """The end of each service's log; with a fleet's file, that of every selected device."""
    if what is not None and fleet.means(what):
        fleet.only_devices(target=target)
        return fleet.logs(what, select, lines, as_json=as_json)
    fleet.only_fleets(select=select)
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.status import logs
    from edgewright.store.cache import Store, default_root

    project = open_project(what, target=target) if what else None
    found = logs(Store(default_root()), project, lines)
    if as_json:
        write_json({"logs": [log.to_json() for log in found]})
    else:
        from edgewright.cli import show

        show.logs(found)
    return None


def rollback(
    what: options.WhatOrFleet,
    target: options.Target = None,
    dry_run: options.DryRun = False,
    take_over: options.TakeOver = False,
    select: fleet.Select = "",
    as_json: options.Json = False,
) -> int:
    """Bring the release before back.

    The device has it: nothing is built, sent or asked of a network. What served until now becomes the release before.
    With a fleet's file: each selected device; exit code 3 where one of them did not do it.
    """
    if fleet.means(what):
        fleet.only_devices(target=target, take_over=take_over)
        return fleet.rollback(what, select, dry_run=dry_run, as_json=as_json)
    fleet.only_fleets(select=select)
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.rollback import rollback

    found = rollback(open_project(what, target=target), dry_run=dry_run, take_over=take_over)
    if as_json:
        write_json({"dry_run": dry_run, "devices": [device.to_json() for device in found]})
        return 0
    for device in found:
        gap = f", after {device.gap_ms:.0f} ms without an answer" if device.gap_ms is not None else ""
        verb = "would serve" if dry_run else "serves"
        where = f" at {device.url}" if device.url else ""
        typer.echo(f"{device.target}: release {device.number}, {device.digest[:12]}, {verb}{where} again{gap}.")
        if device.recovered:
            typer.echo("  " + "".join(c if c.isprintable() else " " for c in device.recovered))
    return 0


def exec_golden(
    what: options.WhatOrFleet, target: options.Target = None, select: fleet.Select = "", as_json: options.Json = False
) -> int:
    """Replay the golden samples on the devices now.

    The live release's own code and samples, beside the service; nothing is changed. Exit code 1 where an answer is
    another one; with a fleet's file also 3 where a device could not be asked.
    """
    if fleet.means(what):
        fleet.only_devices(target=target)
        return fleet.exec_golden(what, select, as_json=as_json)
    fleet.only_fleets(select=select)
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.rollback import exec_golden

    found = exec_golden(open_project(what, target=target))
    if as_json:
        write_json({"devices": [device.to_json() for device in found]})
    else:
        from edgewright.cli import show

        show.replayed(found)
    return 1 if any(device.mismatches for device in found) else 0


VERBS = (pack, deploy, rollback, status, exec_golden, logs, watch, learn, stop)
