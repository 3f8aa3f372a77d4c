"""The verbs of the field: what is delivered, served and watched."""

from __future__ import annotations

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


VERBS = (stop,)
