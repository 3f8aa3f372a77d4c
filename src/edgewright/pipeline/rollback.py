"""Rollback and exec-golden: what the device does with the releases it has, without sending it any."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.core.record import Record
from edgewright.pipeline.connect import connect
from edgewright.pipeline.device_program import TIMEOUT_S, operate
from edgewright.pipeline.lease import held
from edgewright.pipeline.project import Project


@dataclass(frozen=True)
class RolledBack(Record):
    """What serves now on one device, or (dry) would. `gap_ms` is the longest time a client went without an answer,
    `recovered` says what became of an operation before that was cut."""

    target: str
    number: int
    digest: str
    url: str
    replaced: str | None
    gap_ms: float | None = None
    recovered: str = ""


@dataclass(frozen=True)
class Replayed(Record):
    """The golden samples of one live release, replayed on its device now. `mismatches` names those whose answers are
    other ones."""

    target: str
    number: int
    digest: str
    samples: int
    mismatches: tuple[str, ...]
    p50_ms: float | None = None
    p95_ms: float | None = None


def rollback(project: Project, *, dry_run: bool = False, take_over: bool = False) -> tuple[RolledBack, ...]:
    """Every target back on the release before. DeviceError where a device has none, or where it does not start."""

    async def work() -> list[RolledBack]:
        done = []
        for target in project.config.targets:
            link = await connect(project, target)
            try:
                done.append(await roll_back(target.name, link, dry_run=dry_run, take_over=take_over))
            finally:
                await link.close()
        return done

    return tuple(asyncio.run(work()))


async def roll_back(
    name: str,
    link: Link,
    *,
    leave: str = "",
    dry_run: bool = False,
    take_over: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> RolledBack:
    """One device back on the release before; `dry_run` says which that is. Whoever tries again after an answer that was
    lost names the release to `leave`: where another one serves by now, that has been done, and nothing is changed.
    DeviceError where the device has no release before, or does not end within `timeout_s`; RejectedRelease where that
    is damaged or does not start."""
    if not dry_run:
        request = {"leave": leave} if leave else {}
        answer = await held(link, "rollback", request, take_over=take_over, timeout_s=timeout_s)
        return _rolled_back(name, link, answer)
    status = await operate(link, "status", {})
    previous, current = status.get("previous"), status.get("current") or {}
    if not previous:
        raise DeviceError(
            f"There is no release before this one on {link.address}.",
            "Deploy the one that you want: `edgewright deploy`.",
        )
    return _rolled_back(name, link, {**previous, "url": status.get("url") or "", "replaced": current.get("name")})


def exec_golden(project: Project) -> tuple[Replayed, ...]:
    """Each target's live release against its own golden samples, on its device, now. Changes nothing."""

    async def work() -> list[Replayed]:
        found = []
        for target in project.config.targets:
            link = await connect(project, target)
            try:
                found.append(await replay_golden(target.name, link))
            finally:
                await link.close()
        return found

    return tuple(asyncio.run(work()))


async def replay_golden(name: str, link: Link) -> Replayed:
    """One device's live release against its golden samples. RejectedRelease where they cannot be replayed."""
    answer = await operate(link, "golden", {})
    try:
        return Replayed(
            target=name,
            number=int(answer["number"]),
            digest=str(answer["digest"]),
            samples=int(answer["samples"]),
            mismatches=tuple(str(text)[:1000] for text in answer["mismatches"]),
            p50_ms=_number(answer.get("p50_ms")),
            p95_ms=_number(answer.get("p95_ms")),
        )
    except (KeyError, OverflowError, TypeError, ValueError):
        raise _strange(link) from None


def _rolled_back(name: str, link: Link, answer: Mapping[str, Any]) -> RolledBack:
    try:
        return RolledBack(
            target=name,
            number=int(answer["number"]),
            digest=str(answer["digest"])[:200],
            url=str(answer["url"])[:1000],
            replaced=str(answer["replaced"])[:200] if answer.get("replaced") else None,
            gap_ms=_number(answer.get("gap_ms")),
            recovered=str(answer.get("recovered") or "")[:1000],
        )
    except (KeyError, OverflowError, TypeError, ValueError):
        raise _strange(link) from None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _strange(link: Link) -> DeviceError:
    return DeviceError(f"The installer on {link.address} gave a strange answer.", "Deploy again.")
