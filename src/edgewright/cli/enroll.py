"""The verb of the first contact with a device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json

if TYPE_CHECKING:
    from edgewright.pipeline.enroll import Shown


def enroll(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As ssh://user@host:port.")],
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", metavar="SHA256:…", help="Trust the host key that has this fingerprint.")
    ] = "",
    key: Annotated[
        Path | None, typer.Option("--key", metavar="PATH", help="A private key; without it, one of ours is made.")
    ] = None,
    root: Annotated[
        str, typer.Option("--root", metavar="PATH", help="Where releases will live there; ~/.edgewright if not said.")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Meet a device: compare its host key, put a key there, note what it is.

    Without --fingerprint the host key is shown and you are asked. A password is asked for once if no key opens the
    device yet, and kept nowhere.
    """
    from edgewright.pipeline.enroll import enroll
    from edgewright.store.cache import Store, default_root

    there = sys.stdin.isatty()
    found = enroll(
        Store(default_root()),
        address,
        fingerprint=fingerprint,
        key=key,
        root=root,
        confirm=_confirm if there else None,
        ask=(lambda: _ask(address)) if there else None,
    )
    if as_json:
        write_json(found.to_json())
        return
    typer.echo(f"{found.address} is enrolled: host key {found.host_key}, key {found.key}.")
    typer.echo(f"{found.machine}, Python {found.python}, {found.memory / 1e9:.1f} GB memory, "
               f"{found.disk_free / 1e9:.1f} GB disk free in {found.root}.")  # fmt: skip
    have = ", ".join(f"{name} {version}" for name, version in sorted(found.runtimes.items()))
    typer.echo(f"It has {have or 'no runtime that we know'}.")


def _confirm(shown: Shown) -> bool:
    if shown.changed:
        typer.echo(
            "Another host key is known for this address: the device was set up anew, or somebody sits between.",
            err=True,
        )
    typer.echo(f"{shown.address} shows the host key {shown.kind} {shown.host_key}.", err=True)
    return typer.confirm("Is that the device's own?", default=False, err=True)


def _ask(address: str) -> str | None:
    import getpass

    return getpass.getpass(f"Password for {address.partition('?')[0]} (used once, kept nowhere): ") or None


VERBS = (enroll,)
