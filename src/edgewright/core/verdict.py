"""Measurements with their intervals, and verdicts against a goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewright.core.recipe import Recipe
from edgewright.core.record import Record

PASS, FAIL, UNDECIDED = "pass", "fail", "undecided"


@dataclass(frozen=True)
class Estimate(Record):
    """A value and its 95 % interval; n is how many independent observations it rests on."""

    value: float
    low: float
    high: float
    n: int = 0


@dataclass(frozen=True)
class Measurement(Record):
    """One service measured on one device. Times are milliseconds end to end (decoded pixels or
    tensors in, predictions out); `phases` splits the median (preprocess, compute, postprocess).
    `speedup` is base p50 ÷ own p50 from the same alternating rounds; `base` names the base.
    `device_bytes` is what the engine holds on an accelerator. `executed` maps a precision to its share of compute
    time, as the runtime reports it."""

    p50: Estimate
    p90: Estimate
    p95: Estimate
    p99: Estimate
    throughput: Estimate
    phases: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: int = 0
    load_seconds: float = 0.0
    executed: Mapping[str, float] = field(default_factory=dict)
    executed_ops: Mapping[str, int] = field(default_factory=dict)
    speedup: Estimate | None = None
    base: str = ""
    batch: int = 1
    rounds: int = 0
    simulated: bool = False
    device_bytes: int = 0
    round_p50: tuple[float, ...] = ()
    """The median of each round: two measurements of the same race are compared round by round."""


@dataclass(frozen=True)
class MetricResult(Record):
    """A metric with its bootstrap interval, and the paired drop against the float model in points
    of 100 (positive = worse). `kind` is "labels" or "agreement"; `looks` counts sequential looks."""

    name: str
    estimate: Estimate
    kind: str = "labels"
    others: Mapping[str, float] = field(default_factory=dict)
    drop: Estimate | None = None
    looks: int = 1
    needed_samples: int | None = None


@dataclass(frozen=True)
class Verdict(Record):
    """One candidate against the goal. Truthy unless it failed."""

    recipe: Recipe
    verdict: str
    reasons: tuple[str, ...]
    metric: MetricResult | None = None
    measurement: Measurement | None = None
    size_bytes: int = 0
    build_seconds: float = 0.0
    error: str = ""

    def __bool__(self) -> bool:
        return self.verdict != FAIL


@dataclass(frozen=True)
class Decision(Record):
    """`chosen` is a recipe's name, "" where none keeps the goal; then `nearest` and `distance` say
    which came closest and by how much it missed. `pareto` names the accuracy/latency front."""

    target: str
    verdict: str
    chosen: str
    sentences: tuple[str, ...]
    pareto: tuple[str, ...] = ()
    nearest: str = ""
    distance: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class Reading(Record):
    """One aggregated telemetry window of a service, as the device reports it. Milliseconds."""

    seq: int
    boot: str
    wall: float
    monotonic: float
    window_s: float
    count: int
    errors: int
    p50: float
    p95: float
    max: float
    memory_bytes: int
    histograms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    temperature_c: float | None = None
    load1: float | None = None


@dataclass(frozen=True)
class Incident(Record):
    """A promise broken in the field: which, its limit, what was seen, in which readings."""

    promise: str
    limit: float
    seen: float
    first_seq: int
    last_seq: int
    release: str
    sentence: str
