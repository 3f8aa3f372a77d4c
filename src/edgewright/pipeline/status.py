"""Status and logs: what each device says of its release, asked of the device itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright import transports
from edgewright.core.contracts import Link
from edgewright.core.errors import InputError
from edgewright.core.record import Record
from edgewright.device.mishaps import sentence
from edgewright.pipeline.connect import connect
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.project import Project
from edgewright.store.cache import Store

LOG = "run/agent.log"
MOST_LOG_BYTES = 4 << 20


@dataclass(frozen=True)
class DeviceStatus(Record):
    """One device. `current` and `previous` describe releases (name, number, digest); `health` is what the
    service's /healthz says now, None where nobody answers; `reason` is why the last change failed, if it did; `trust`
    says whose signatures count there: signers, floor, and `unsigned_allowed` where nobody was enrolled; `reverted`
    tells that the device went back by itself (from, to, reason), `operator` who is at work on it now, `programs` the
    versions of our device programs there (installer, supervisor), `manager` who keeps the service alive, `notes` what
    the device would not do for that, `last` the last operation that was interrupted or failed (op, step, release,
    reason, outcome, wall; `over` where one has ended well since; `said`: all that in a sentence)."""

    target: str
    device: str
    root: str
    running: bool
    url: str
    current: Mapping[str, Any] | None
    previous: Mapping[str, Any] | None
    health: Mapping[str, Any] | None
    phase: str
    reason: str
    trust: Mapping[str, Any] = field(default_factory=dict)
    reverted: Mapping[str, Any] | None = None
    operator: str = ""
    programs: Mapping[str, str] = field(default_factory=dict)
    manager: str = ""
    notes: tuple[str, ...] = ()
    last: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Log(Record):
    """The last lines of one device's service log."""

    target: str
    lines: tuple[str, ...]


def status(store: Store, project: Project | None = None) -> tuple[DeviceStatus, ...]:
    """Every target of the project, or every device folder of this machine in the store. Changes nothing."""
    return asyncio.run(_statuses(store, project))


def logs(store: Store, project: Project | None = None, lines: int = 50) -> tuple[Log, ...]:
    """The end of each service's log. InputError where no service ever ran."""
    found = asyncio.run(_logs(store, project, lines))
    if not found:
        raise InputError("No service has written a log here.", "Deploy one with `edgewright run`.")
    return found


async def _statuses(store: Store, project: Project | None) -> tuple[DeviceStatus, ...]:
    found = []
    for name in _targets(store, project):
        async with _link(store, project, name) as link:
            found.append(_read(name, link, await operate(link, "status", {"runtimes": []})))
    return tuple(found)


def _read(target: str, link: Link, answer: Mapping[str, Any]) -> DeviceStatus:
    return DeviceStatus(
        target=target,
        device=link.address,
        root=link.root,
        running=bool(answer.get("running")),
        url=str(answer.get("url") or ""),
        current=answer.get("current") or None,
        previous=answer.get("previous") or None,
        health=answer.get("health") or None,
        phase=str(answer.get("phase") or ""),
        reason=str(answer.get("reason") or ""),
        trust=answer.get("trust") or {},
        reverted=answer.get("reverted") or None,
        operator=str(answer.get("operator") or ""),
        programs={str(name): str(version) for name, version in (answer.get("programs") or {}).items()},
        manager=str(answer.get("manager") or ""),
        notes=tuple(str(note)[:500] for note in answer.get("notes") or ()),
        last=_last(answer.get("last")),
    )


def _last(told: Any) -> Mapping[str, Any] | None:
    return {**told, "said": sentence(told)[:2000]} if isinstance(told, dict) and told else None


async def log_of(name: str, link: Link, lines: int) -> Log | None:
    """The end of one device's log; None where it has none (or one far over the size that ours have)."""
    there = await link.stat(f"{link.root}/{LOG}")
    if there is None or there.size > MOST_LOG_BYTES:
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "agent.log"
        await link.get(f"{link.root}/{LOG}", copy)
        text = copy.read_text(encoding="utf-8", errors="replace")
    return Log(name, tuple(text.splitlines()[-lines:]))


async def _logs(store: Store, project: Project | None, lines: int) -> tuple[Log, ...]:
    found = []
    for name in _targets(store, project):
        async with _link(store, project, name) as link:
            log = await log_of(name, link, lines)
            if log is not None:
                found.append(log)
    return tuple(found)


def _targets(store: Store, project: Project | None) -> tuple[str, ...]:
    if project is not None:
        return tuple(target.name for target in project.config.targets)
    devices = store.root / "devices"
    return tuple(sorted(p.name for p in devices.iterdir() if (p / "run").is_dir())) if devices.is_dir() else ()


@asynccontextmanager
async def _link(store: Store, project: Project | None, name: str) -> AsyncIterator[Link]:
    if project is not None:
        target = next(t for t in project.config.targets if t.name == name)
        link = await connect(project, target)
    else:
        link = await transports.get("local").open("local", root=str(store.root / "devices" / name))
    try:
        yield link
    finally:
        await link.close()
