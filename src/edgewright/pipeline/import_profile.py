"""Import: a profiler's output, recorded anywhere, as profiles of our schema with what the rules find in them.

The families that know captures (an optional `read_profile`) are asked in turn; nobody here knows a format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright import findings, targets
from edgewright.core.errors import InputError
from edgewright.core.facts import Facts
from edgewright.core.profile import Profile
from edgewright.core.record import Record
from edgewright.core.roofline import annotate
from edgewright.pipeline.profile import Profiled


@dataclass(frozen=True)
class ImportResult(Record):
    """What `edgewright profile --import` gives: each capture found under `path`, as its family read it.

    `facts` of a profile hold the device's name only: a capture does not tell what the device could do.
    """

    path: str
    family: str
    profiles: tuple[Profiled, ...]
    notes: tuple[str, ...] = ()


def import_profile(path: Path) -> ImportResult:
    """The captures under a folder, or in one file. InputError where nothing is there, where no family knows it, and
    for a capture that is cut or damaged."""
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.", "Name the folder that the profiler wrote.")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"{path} is empty.", "Name the folder that the profiler wrote.")
    asked = [name for name in targets.names() if hasattr(targets.get(name), "read_profile")]
    for family in asked:
        found: Sequence[Profile] | None = targets.get(family).read_profile(path)  # type: ignore[attr-defined]
        if found:
            return ImportResult(str(path), family, tuple(_seen(profile, family) for profile in found), _notes(found))
    raise InputError(
        f"{path} holds no capture that {' or '.join(asked) or 'any family'} knows.",
        "Name a folder of msprof (PROF_…) or torch_npu (…_ascend_pt), or one of its CSV or JSON files.",
    )


def _seen(profile: Profile, family: str) -> Profiled:
    facts = Facts(profile.device, family, simulated=profile.simulated)
    seen = annotate(profile, facts)
    return Profiled(f"{profile.tool} on {profile.device}", family, facts, seen, findings.look(seen, facts))


def _notes(found: Sequence[Profile]) -> tuple[str, ...]:
    if any(profile.simulated for profile in found):
        return ("Figures marked simulated were written by a stand-in and measure no device.",)
    return ()
