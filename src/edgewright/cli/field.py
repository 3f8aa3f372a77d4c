"""The verbs of the field: what is delivered, served and watched."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json


def stop(as_json: options.Json = False, dry_run: options.DryRun = False) -> None:
    """End the services of this machine.

    Those whose results lie in EDGEWRIGHT_HOME; their releases stay and can be deployed again.
    """
    from edgewright.pipeline.stop import running, stop
    from edgewright.store.cache import Store, default_root

    store = Store(default_root())
    services = running(store) if dry_run else stop(store)
    if as_json:
        write_json({"dry_run": dry_run, "stopped": [service.to_json() for service in services]})
        return
    for service in services:
        typer.echo(f"{'Would stop' if dry_run else 'Stopped'} {service.target} ({service.url or 'starting'}).")
    if not services:
        typer.echo("Nothing is running.")


def status(what: options.MaybeWhat = None, target: options.Target = None, as_json: options.Json = False) -> None:
    """What each device serves now."""
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


def logs(
    what: options.MaybeWhat = None,
    target: options.Target = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, metavar="N", help="How many, from the end.")] = 50,
    as_json: options.Json = False,
) -> None:
    """The end of each service's log."""
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


VERBS = (status, logs, stop)
