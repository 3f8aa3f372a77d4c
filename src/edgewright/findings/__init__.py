"""The findings plug room: an expert's eye as code. One file a rule, found by listing the folder.

A rule is a module (or, from somebody else's wheel, an object named in the entry-point group
`edgewright.findings`) with a `name` and `look(profile, facts) -> Iterator[Finding]`. Rules may count on a
profile whose operators carry share, efficiency and bound: `look` here annotates it first.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from edgewright.core.contracts import Rule
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.core.roofline import annotate

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The rules of this folder and of the entry points, by name."""
    return tuple(sorted(_own_names() | {e.name for e in entry_points(group="edgewright.findings")}))


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule found. A rule of this folder wins over an entry point of the same name."""
    own = {name: importlib.import_module(f"edgewright.findings.{name}") for name in _own_names()}
    foreign = {e.name: e.load() for e in entry_points(group="edgewright.findings") if e.name not in own}
    return tuple(rule for _, rule in sorted((own | foreign).items()))


def look(profile: Profile, facts: Facts) -> tuple[Finding, ...]:
    """What every rule finds, the largest share of time first; a simulated profile's findings say so."""
    seen = annotate(profile, facts)
    found = [finding for rule in rules() for finding in rule.look(seen, facts)]
    if profile.simulated or facts.simulated:
        found = [replace(finding, title=f"{finding.title} (simulated)") for finding in found]
    return tuple(sorted(found, key=lambda finding: (-finding.share, finding.rule)))


def _own_names() -> set[str]:
    return {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
