"""What a report is made of: one run as records of core, and nothing computed here.

Units are those of core: milliseconds in measurements, microseconds in profiles, bytes, fractions of 1 for
metrics, points of 100 for drops. Whatever is empty is left out of the page; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.core.record import Record
from edgewright.core.verdict import Decision, Incident, Measurement, Verdict


@dataclass(frozen=True)
class ModelSummary(Record):
    """The network as it came in. `flops` are operations per inference (a multiply-add is two); `inputs` and
    `outputs` are lines such as "images float32 1×3×640×640"."""

    name: str
    source: str = ""
    digest: str = ""
    parameters: int = 0
    flops: float = 0.0
    file_bytes: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    labels: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSummary(Record):
    """One dataset: what it is used for ("calibration", "validation"), how many samples, labelled or not."""

    use: str
    name: str
    samples: int
    labelled: bool
    digest: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseSummary(Record):
    """What was packed and where it runs. `state` is a word such as "live", "rolled back", "packed"; `url` the
    service's address, "" where it does not serve."""

    number: int
    digest: str
    state: str
    device: str = ""
    url: str = ""
    bundle_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetReport(Record):
    """Everything measured for one target. `baseline` is measured like a candidate but is none; `profiles` and
    `sweeps` are keyed by a recipe's name, the baseline's first; a sweep holds one Measurement a batch."""

    name: str
    facts: Facts
    baseline: Verdict
    candidates: tuple[Verdict, ...]
    decision: Decision
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    sweeps: Mapping[str, tuple[Measurement, ...]] = field(default_factory=dict)
    release: ReleaseSummary | None = None
    incidents: tuple[Incident, ...] = ()

    def verdicts(self) -> tuple[Verdict, ...]:
        """The baseline, then every candidate."""
        return (self.baseline, *(c for c in self.candidates if c.recipe.name != self.baseline.recipe.name))

    def chosen(self) -> Verdict | None:
        return next((v for v in self.verdicts() if v.recipe.name == self.decision.chosen), None)


@dataclass(frozen=True)
class RunReport(Record):
    """One run. `verdict` is the worst of its targets'; `created` is UTC, ISO 8601; `goal` maps a goal's name to its
    value as configured; `digests` and `versions` are tables; `config` is the configuration as read."""

    run: str
    name: str
    created: str
    verdict: str
    task: str
    model: ModelSummary
    targets: tuple[TargetReport, ...]
    goal: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[DataSummary, ...] = ()
    calibration: tuple[Finding, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether anything on the page comes from a stand-in."""
        return any(
            target.facts.simulated
            or target.decision.simulated
            or any(v.measurement.simulated for v in target.verdicts() if v.measurement)
            or any(profile.simulated for profile in target.profiles.values())
            for target in self.targets
        )
