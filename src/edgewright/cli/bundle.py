"""The words under `edgewright bundle`: what is in one, who vouches for it, and its ways to a device without us."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgewright.cli import options
from edgewright.cli.boundary import write_json
from edgewright.cli.write import refuse_to_replace

Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, as `edgewright pack` names it.")]
Place = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="host[:port]/repository[:tag], and @sha256:… to be sure.")
]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Without TLS; loopback addresses always are.")]
Signers = Annotated[
    Path | None, typer.Option("--signers", metavar="FILE", help="Who may sign: a file as ssh-keygen's allowed_signers.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def inspect(bundle: Folder, as_json: options.Json = False) -> None:
    """What is in a bundle, what it needs of a device, and who signed it.

    Every file is checked against its digest; the signature is only shown (`bundle verify` checks it).
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.signing import beside_json, signed_beside

    found = read_bundle(bundle)
    signed = signed_beside(found)
    provenance = beside_json(found, ".provenance.json")
    if as_json:
        told = {**found.to_json(), "signed": signed.to_json() if signed else None, "provenance": provenance}
        write_json({**told, "attestation": beside_json(found, ".attestation.json")})
        return
    simulated = ", simulated" if found.simulated else ""
    typer.echo(f"{found.name} ({found.family}, {found.precision}{simulated}), {found.size / 1e6:.1f} MB")
    typer.echo(f"sha256:{found.digest}")
    for path, digest in sorted(found.files.items()):
        typer.echo(f"  {digest[:12]} {found.sizes[digest]:>12} {path}")
    needed = {name: value for name, value in found.needs.to_json().items() if value and not name.endswith("_digest")}
    typer.echo("Needs: " + ", ".join(f"{name} {_words(value)}" for name, value in sorted(needed.items())))
    packages = beside_json(found, ".attestation.json").get("packages")
    if any(path.startswith("wheels/") for path in found.files):
        ran = isinstance(packages, dict) and packages.get("executed") is True
        typer.echo(f"Brings its packages, {'imported on such a machine' if ran else 'which were not executed here'}.")
    if signed:
        until = f", until {signed.expires}" if signed.expires else ""
        typer.echo(f"Signed {signed.signed} as number {signed.number} by {signed.key}{until}.")
    else:
        typer.echo("Not signed.")


def verify(bundle: Folder, signers: Signers = None, as_json: options.Json = False) -> None:
    """Check every digest of a bundle, its signature and its provenance.

    Without --signers: that it was signed by the key that it names, whosever that is. With it: that this key may sign
    releases now.
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.signing import verify

    found = read_bundle(bundle)
    verified = verify(found, signers)
    if as_json:
        write_json({"digest": found.digest, **verified.to_json()})
        return
    whose = f"by {verified.by}" if verified.by else f"by {verified.signed.key}, which was compared with no list"
    typer.echo(f"{found.name}, sha256:{found.digest[:12]}: whole, signed as number {verified.signed.number} {whose}.")
    typer.echo("Its provenance is signed by the same key." if verified.provenance else "It has no signed provenance.")


def sign(
    bundle: Folder,
    key: Annotated[Path, typer.Option("--key", metavar="PATH", help="A private Ed25519 key in OpenSSH format.")],
    number: Annotated[
        int | None,
        typer.Option("--number", min=1, metavar="N", help="Greater than any before; seconds since 1970 if not said."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36500, metavar="N", help="For how long it may be installed.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Vouch for a bundle: write its signature beside it.

    The bundle and its digest stay as they are. `ssh-keygen -Y verify -n edgewright-release` takes the signature.
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.release_key import load_key
    from edgewright.pipeline.signing import sign

    found = read_bundle(bundle)
    signed = sign(found, load_key(key), number=number, days=days)
    if as_json:
        write_json({"digest": found.digest, **signed.to_json()})
    else:
        typer.echo(f"sha256:{found.digest[:12]} is signed as number {signed.number} by {signed.key}.")


def push(bundle: Folder, reference: Place, plain_http: PlainHttp = False, as_json: options.Json = False) -> None:
    """Send a bundle to an OCI registry, with what lies beside it.

    Its digest there is its digest here. Names and passwords are those of `docker login`.
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.exchange import push
    from edgewright.pipeline.registry import parse_reference

    place = parse_reference(reference)
    done = push(read_bundle(bundle), place, plain_http=plain_http)
    if as_json:
        write_json(done.to_json())
    else:
        signed = "with its signature" if done.signed else "not signed"
        typer.echo(f"{done.reference}@sha256:{done.digest[:12]}, {signed}; {done.sent_bytes / 1e6:.1f} MB were sent.")


def pull(
    reference: Place,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to make.")],
    signers: Signers = None,
    plain_http: PlainHttp = False,
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Fetch a bundle from an OCI registry; a pull that was cut goes on.

    With --signers it is verified too, and not kept where that fails.
    """
    from edgewright.core.errors import InputError
    from edgewright.pipeline.exchange import pull
    from edgewright.pipeline.registry import parse_reference
    from edgewright.pipeline.signing import read_signers

    place = parse_reference(reference)
    if signers is not None:
        read_signers(signers)
    if output.exists() and not (force and (output / "oci-layout").is_file()):
        raise InputError(f"{output} is already there.", "Choose another folder with -o, or --force over a bundle.")
    found = pull(place, output, plain_http=plain_http, allowed=signers)
    if as_json:
        write_json(found.to_json())
    else:
        typer.echo(f"{output}: {found.name}, {found.size / 1e6:.1f} MB, sha256:{found.digest}")


def save(
    bundle: Folder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The file to write.")] = Path(
        "release.pyz"
    ),
    force: Force = False,
    as_json: options.Json = False,
) -> None:
    """Write a bundle as one file that installs itself, for a USB stick.

    On the device: `python3 release.pyz --root DIR`. It needs no network and no pip, checks what any deployment checks,
    and the device's signers count.
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.save import save

    refuse_to_replace(output, force)
    done = save(read_bundle(bundle), output)
    if as_json:
        write_json(done.to_json())
    else:
        typer.echo(f"{done.path} ({done.size / 1e6:.1f} MB). On the device: python3 {done.path.name} --root DIR")


def publish(
    bundle: Folder,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="PLACE", help="A folder (of a web server, a stick), or oci://host[:port]/repository."
        ),
    ],
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="What devices follow: stable, beta, …")],
    keys: Annotated[Path, typer.Option("--keys", metavar="DIR", help="The channel's keys; made where there are none.")],
    expires_days: Annotated[
        int, typer.Option("--expires-days", min=1, max=3650, metavar="N", help="Publish again before so many days.")
    ] = 30,
    rotate_root: Annotated[
        bool, typer.Option("--rotate-root", help="A new root key, in a root that the old one signs, too.")
    ] = False,
    plain_http: PlainHttp = False,
    as_json: options.Json = False,
) -> None:
    """Make a bundle the release of a channel, for devices that fetch for themselves.

    The place is a TUF repository; any web server or OCI registry can hold it. It also brings the device programs of
    this edgewright. On the device: `python3 -m edgewright.device.channel ROOT URL --channel NAME --trust root.json`.
    """
    from edgewright.pipeline.bundle import read_bundle
    from edgewright.pipeline.channel import publish
    from edgewright.pipeline.channel_place import parse_place

    settings: dict[str, Any] = {"expires_days": expires_days, "rotate_root": rotate_root, "plain_http": plain_http}
    done = publish(read_bundle(bundle), parse_place(to), channel, keys, **settings)
    if as_json:
        write_json(done.to_json())
        return
    signed = "signed" if done.signed else "not signed, which devices that know signers refuse"
    typer.echo(f"{channel}: sha256:{done.digest[:12]} ({signed}), version {done.version}, good until {done.expires}.")
    typer.echo(f"Devices are given {done.root} once; they go on as the device programs {done.programs}.")


def trust(
    what: options.What,
    signers: Annotated[
        Path, typer.Option("--signers", metavar="FILE", help="Who may sign: a file as ssh-keygen's allowed_signers.")
    ],
    target: options.Target = None,
    forget_floor: Annotated[
        bool, typer.Option("--forget-floor", help="Also forget the greatest number and newest time that it has seen.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Tell devices whose signatures count from now on.

    A device that knows signers lets in no release that none of them signed. The file replaces the one before: that is
    how keys are rotated.
    """
    from edgewright.pipeline.project import open_project
    from edgewright.pipeline.trust import enrol_signers

    found = enrol_signers(open_project(what, target=target), signers, forget_floor=forget_floor)
    if as_json:
        write_json({"devices": [device.to_json() for device in found]})
        return
    for device in found:
        names = ", ".join(str(signer["identity"]) for signer in device.signers)
        typer.echo(f"{device.target} ({device.device}) takes releases signed by {names}.")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {'…'.join(map(str, item))}" for name, item in value.items())
    return str(value)


VERBS = (inspect, verify, sign, push, pull, publish, save, trust)
HELP = "Look at a sealed release, vouch for it, and carry it."
