"""Trust: tells the devices of a configuration whose signatures count. Over the operator's own link, which could
change everything there anyway; a release never brings signers along."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.core.record import Record
from edgewright.pipeline.connect import connect
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.project import Project
from edgewright.pipeline.signing import read_signers


@dataclass(frozen=True)
class Trusting(Record):
    """A device and whom it trusts now: `signers` (identity, fingerprint, times) and its floor of number and time."""

    target: str
    device: str
    signers: tuple[Mapping[str, Any], ...]
    floor: Mapping[str, Any] = field(default_factory=dict)


def enrol_signers(project: Project, path: Path, *, forget_floor: bool = False) -> tuple[Trusting, ...]:
    """Every target's device holds to the allowed_signers file at `path` from now on. `forget_floor` also drops the
    highest number and the newest signed time that it has seen. InputError for a file that no device could hold to."""
    read_signers(path)
    text = path.read_text(encoding="utf-8")

    async def work() -> tuple[Trusting, ...]:
        found = []
        for target in project.config.targets:
            link = await connect(project, target)
            try:
                answer = await operate(link, "trust", {"signers": text, "forget": forget_floor})
            finally:
                await link.close()
            listed = tuple(dict(signer) for signer in answer.get("signers") or ())
            found.append(Trusting(target.name, link.address, listed, answer.get("floor") or {}))
        return tuple(found)

    return asyncio.run(work())
