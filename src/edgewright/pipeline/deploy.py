"""Deploy: a bundle onto a device, until it serves. The device's installer does the changing
(edgewright.device.install); here is decided whether to, and what must be sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, DeviceError, RejectedRelease
from edgewright.core.record import Record
from edgewright.device import needs
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.delta import Delta, deltas_for, remember
from edgewright.pipeline.device_program import TIMEOUT_S, operate
from edgewright.pipeline.lease import Holding, given_back, held
from edgewright.pipeline.send import send
from edgewright.pipeline.signing import signed_beside
from edgewright.store.cache import Store


@dataclass(frozen=True)
class Release(Record):
    """What serves now. `replaced` names the release before, None where there was none or nothing changed.
    `gap_ms` is the longest time a client went without an answer during the change, None where none served. `recovered`
    says what became of an operation before that was cut; `mended` are files that were damaged on the device, below its
    releases/, and are whole again."""

    target: str
    root: str
    number: int
    digest: str
    url: str
    pid: int
    replaced: str | None = None
    unchanged: bool = False
    gap_ms: float | None = None
    replay: Mapping[str, float | None] = field(default_factory=dict)
    sent_bytes: int = 0
    recovered: str = ""
    mended: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployPlan(Record):
    """What `deploy` would do, in sentences. `acts` is the installer's own plan for the device: per act its step in the
    journal, its kind (file, run, own, link, check), what it is for (`said`), and `path`, `text` or `argv`."""

    target: str
    steps: tuple[str, ...]
    acts: tuple[Mapping[str, Any], ...] = ()


async def deploy(
    bundle: Bundle,
    target: TargetConfig,
    serve: ServeConfig,
    link: Link,
    *,
    take_over: bool = False,
    store: Store | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Release:
    """The bundle as the live release of the device. A live release that is the same (digest and serve
    settings) is left alone, unless files of it are damaged: these are sent again. RejectedRelease where the device
    does not fit (before a byte is sent) or the release fails there (the one before then serves as before);
    DeviceError where the device misbehaves, or its installer takes longer than `timeout_s` and the bake time: it is
    ended then, and a whole release serves. With a `store`, files may go as what differs from the live release, if
    that went out of the same store."""
    status = await _status(link, check=bundle.digest)
    settings = await _settings(serve, link)
    if _is_live(bundle, settings, status):
        current, health = status["current"], status["health"]
        return _release(target, link, {**current, **status, "number": current["number"], "pid": health["pid"]}, True)
    refuse_unfit(bundle, await _status(link, bundle))
    release = await _admitted(bundle, link, status)
    answer = await held(link, "missing", {"sizes": bundle.sizes}, take_over=take_over, timeout_s=timeout_s)
    try:
        wanted = _wanted(bundle, link, answer)
        _refuse(needs.too_full(sum(bundle.sizes[digest] for digest in wanted), status))
        holding, live = Holding(link), str((status.get("current") or {}).get("digest"))
        work = _sent(bundle, wanted, link, holding, store, live, str(answer.get("deltas") or ""))
        sent = await holding.during(work)
    except BaseException:
        await given_back(link)
        raise
    request = {"manifest": bundle.digest, "serve": settings, **({"release": release} if release else {})}
    installed = await held(link, "install", request, timeout_s=timeout_s + serve.bake_s)
    recovered = answer.get("recovered") or installed.get("recovered")
    return _release(target, link, {**installed, "recovered": recovered}, sent=sent)


def _wanted(bundle: Bundle, link: Link, answer: Mapping[str, Any]) -> list[str]:
    """The blobs that the device says it lacks."""
    missing = answer.get("missing")
    if not isinstance(missing, list):
        raise DeviceError(f"The installer on {link.address} gave a strange answer.", "Deploy again.")
    return [digest for digest in missing if isinstance(digest, str) and digest in bundle.sizes]


async def _sent(
    bundle: Bundle, wanted: Sequence[str], link: Link, holding: Holding, store: Store | None, live: str, codecs: str
) -> int:
    """How many bytes of files went to a device that runs the release `live` and unpacks deltas of these `codecs`."""
    deltas: dict[str, Delta] = {}
    if store is not None and not link.shares_files:  # where files are shared, a copy costs less than a delta
        remember(store, bundle)
        deltas = await deltas_for(store, bundle, live, wanted, codecs)
    return await send(bundle, wanted, deltas, link, holding)


async def plan_deploy(bundle: Bundle, target: TargetConfig, serve: ServeConfig, link: Link) -> DeployPlan:
    """What `deploy` would do. Changes nothing but for the installer itself, which is put on the device."""
    status = await _status(link, bundle, check=bundle.digest)
    settings = await _settings(serve, link)
    if _is_live(bundle, settings, status):
        return DeployPlan(target.name, (f"Nothing: release {bundle.digest[:12]} serves already.",))
    refuse_unfit(bundle, status)
    release = await _admitted(bundle, link, status)
    steps = [
        _vouched(release, status),
        f"Send what {link.address} lacks of {len(bundle.files)} files ({bundle.size / 1e6:.1f} MB) to {link.root}.",
        "Check every digest on the device and lay the release out beside the live one.",
        "Replay the golden samples there, and the latency and memory limits if the goal has them.",
    ]
    old = status.get("current")
    if status.get("damaged"):
        steps.append(f"Mend {len(status['damaged'])} damaged files of the live release, and start it again.")
    elif old and status["running"]:
        steps.append(f"Let {old['name']} serve until the new release is ready, then switch; it is kept as `previous`.")
    else:
        steps.append("Start the service.")
    host, port = settings.get("host") or "127.0.0.1", settings.get("port") or "the first free port from 8080"
    steps.append(f"Serve on {host}, port {port}" + (f", with {settings['source']}." if settings.get("source") else "."))
    if settings.get("environment"):
        steps.append(f"Give it the variables of its runtime: {', '.join(sorted(settings['environment']))}.")
    planned = await operate(link, "plan", {"manifest": bundle.digest, "serve": settings})
    acts = tuple(act for act in planned.get("acts") or () if isinstance(act, dict))
    steps += [_changed(act) for act in acts if act.get("kind") in ("file", "run")]
    steps.append(
        f"Watch it for {serve.bake_s:g} s. Go back to the release before, and say why, if it does not answer, ends, or "
        "breaks a limit; later the device does so by itself, after "
        f"{serve.tries} starts in a row that failed."
    )
    return DeployPlan(target.name, tuple(steps), acts)


def _changed(act: Mapping[str, Any]) -> str:
    """What an act changes outside the device folder."""
    what = " ".join(map(str, act.get("argv") or ())) if act.get("kind") == "run" else str(act.get("path"))
    return f"{act.get('said')} ({what})"


async def _admitted(bundle: Bundle, link: Link, status: Mapping[str, Any]) -> dict[str, str] | None:
    """The signature to send with the release, None where it has none. RejectedRelease where the device, asked before a
    byte is sent, would not let it in."""
    signed = signed_beside(bundle)
    release = signed.request() if signed else None
    if not status["trust"].get("unsigned_allowed"):
        await operate(link, "admit", {"manifest": bundle.digest, "release": release})
    return release


def _vouched(release: Mapping[str, str] | None, status: Mapping[str, Any]) -> str:
    known = [str(signer["identity"]) for signer in status["trust"].get("signers") or ()]
    if known:
        return f"Check the release's signature there; the device knows {', '.join(known)}."
    how = "signed" if release else "not signed"
    return f"The release is {how}, and the device knows no signers: it takes any (see `edgewright bundle trust`)."


def refuse_unfit(bundle: Bundle, status: Mapping[str, Any]) -> None:
    """RejectedRelease where the device is not what the bundle needs."""
    _refuse(needs.difference(bundle.needs.to_json(), status))


def _refuse(found: needs.Difference) -> None:
    if found is not None:
        raise RejectedRelease(*found)


async def _status(link: Link, bundle: Bundle | None = None, check: str = "") -> dict[str, Any]:
    """The device as its installer sees it; with a bundle, also the runtimes that it needs (slower to find); with
    `check`, also which files are damaged where a release of that digest is live (slower, too)."""
    asked = {"runtimes": sorted(bundle.needs.runtimes), "chip": bool(bundle.needs.soc_version)} if bundle else {}
    status = await operate(link, "status", {**asked, "check": check})
    expected = {"machine": str, "python": str, "memory": int, "disk_free": int, "runtimes": dict, "running": bool}
    expected |= {"trust": dict}
    if any(not isinstance(status.get(key), kind) for key, kind in expected.items()):
        raise DeviceError(f"The device {link.address} gives a status that makes no sense.", "Look at its installer.")
    return status


def _is_live(bundle: Bundle, settings: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    current, health = status.get("current") or {}, status.get("health") or {}
    same = current.get("digest") == bundle.digest and current.get("serve") == dict(settings)
    # An installer that was cut must first come to an end, and what is damaged is sent again.
    finished = not status.get("unfinished") and not status.get("damaged")
    return bool(finished and same and health.get("release") == bundle.digest and health.get("ready"))


async def _settings(serve: ServeConfig, link: Link) -> dict[str, Any]:
    """`serve:` as the device keeps it. ConfigError for a folder or file that the device does not have."""
    source = serve.source
    if source and not re.match(r"(camera:\d+$|[a-z]+://)", source):
        kind, path = ("loop:", source[5:]) if source.startswith("loop:") else ("", source)
        path = str(Path(path).absolute()) if link.shares_files else path
        if await link.stat(path) is None:
            raise ConfigError(f"serve.source: there is no {path} on {link.address}.", "Give a path of the device.")
        source = kind + path
    settings = {**serve.model_dump(exclude={"wheels"}), "source": source}
    if link.shares_files:
        settings["manager"] = "supervisor"  # this very machine: a trial run is no reason to change what it boots
    environment = dict(getattr(link, "environment", {}))
    return {**settings, "environment": environment} if environment else settings


def _release(
    target: TargetConfig, link: Link, answer: Mapping[str, Any], unchanged: bool = False, sent: int = 0
) -> Release:
    try:
        return Release(
            target=target.name,
            root=link.root,
            number=int(answer["number"]),
            digest=str(answer["digest"])[:200],
            url=str(answer["url"])[:1000],
            pid=int(answer["pid"]),
            replaced=str(answer["replaced"])[:200] if answer.get("replaced") else None,
            unchanged=unchanged or bool(answer.get("unchanged")),
            gap_ms=_finite(answer.get("gap_ms")),
            replay={str(k)[:100]: _finite(v) for k, v in list((answer.get("replay") or {}).items())[:100]},
            sent_bytes=sent,
            recovered=str(answer.get("recovered") or "")[:1000],
            mended=tuple(str(path)[:1000] for path in answer.get("mended") or ())[:100],
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise DeviceError(f"The installer on {link.address} gave a strange answer.", "Deploy again.") from None


def _finite(value: Any) -> float | None:
    """A number that a device gave. TypeError or ValueError where it is none that can be reckoned with."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:100]!r} is no number")
    return float(value)
