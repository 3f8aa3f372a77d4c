"""Learn: an incident in the field re-opens the plan, with what the field showed as new evidence.

The candidates that kept their accuracy are raced again on the device as it is now, beside the live
service. Their ratios count; the milliseconds are scaled to what the live service itself showed, in the
incident or since: the trouble may have passed meanwhile, and a race beside a service that takes its
share is slower than the service it may become. Then the same rules choose again. A better candidate is
deployed; else the outcome is "no better candidate".
At most one change per cool-down, so that a noisy field cannot make the service flap.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgewright.core.config import GoalConfig
from edgewright.core.record import Record
from edgewright.core.verdict import FAIL, Decision, Estimate, Incident, Measurement, Verdict
from edgewright.pipeline.check import Bench
from edgewright.pipeline.choose import choose
from edgewright.pipeline.judge import judge, limits
from edgewright.pipeline.ladder import TargetResult
from edgewright.pipeline.place import place
from edgewright.pipeline.race import Entrant, race

COOL_DOWN_S = 300.0
FIELD_ROUNDS = 5


@dataclass(frozen=True)
class Lesson(Record):
    """What one incident led to. `outcome`: redeployed, no better candidate, nothing to learn, cooling down."""

    target: str
    outcome: str
    sentence: str
    incident: Incident | None = None
    was: str = ""
    now: str = ""
    slowdown: float = 1.0
    decision: Decision | None = None
    wall: float = 0.0


async def race_in_the_field(bench: Bench, found: TargetResult) -> dict[str, Measurement]:
    """Every candidate that kept its accuracy, raced on the device as it is now. Never cached: the field changes."""
    names = [v.recipe.name for v in found.verdicts if v.measurement is not None and v.recipe.name in found.artifacts]
    artifacts = [found.baseline_artifact, *(found.artifacts[name] for name in names)]
    entrants = [Entrant(a.recipe.name, await place(bench.link, a.folder)) for a in artifacts]
    samples = await bench.race_samples()
    return await race(bench.link, entrants, samples, bench.progress, rounds=FIELD_ROUNDS)


def reconsider(
    found: TargetResult,
    incident: Incident,
    current: str,
    field: Mapping[str, Measurement],
    goal: GoalConfig,
    live_p95: float = 0.0,
) -> Lesson:
    """The choice again, with the field's latencies in place of the quiet ones; `live_p95` (ms) is what the live
    service showed since the incident, 0 where it had nothing to do. Pure."""
    target = found.target.name
    goal = _with_promise(goal, incident)
    slow = slowdown(incident, current, field, live_p95)
    verdicts = _judged(found, {name: scaled(m, slow) for name, m in field.items()}, goal)
    decision = choose(target, verdicts, goal)
    evidence = f"{incident.sentence} Under these conditions "
    if not decision.chosen:
        text = f"{evidence}no candidate keeps the goal; nearest is {decision.nearest} ({decision.distance})."
        return Lesson(target, "no better candidate", text, incident, current, current, slow, decision)
    if decision.chosen == current:
        text = f"{evidence}{current} is still the best that keeps the goal."
        return Lesson(target, "no better candidate", text, incident, current, current, slow, decision)
    text = f"{evidence}{decision.sentences[0]}"
    return Lesson(target, "redeployed", text, incident, current, decision.chosen, slow, decision)


def slowdown(incident: Incident, current: str, field: Mapping[str, Measurement], live_p95: float = 0.0) -> float:
    """How much slower the live service was at its worst than in the race just run; 1 for promises not about time."""
    measured = field.get(current)
    if incident.promise != "latency_p95_ms" or measured is None:
        return 1.0
    return max(incident.seen, live_p95) / max(measured.p95.value, 1e-9)


def scaled(measurement: Measurement, factor: float) -> Measurement:
    """The same measurement on a device that is `factor` times slower; ratios stay."""

    def times(estimate: Estimate, by: float) -> Estimate:
        return replace(estimate, value=estimate.value * by, low=estimate.low * by, high=estimate.high * by)

    return replace(
        measurement,
        p50=times(measurement.p50, factor),
        p90=times(measurement.p90, factor),
        p95=times(measurement.p95, factor),
        p99=times(measurement.p99, factor),
        throughput=times(measurement.throughput, 1 / factor),
    )


def open_incident(incidents: Sequence[Incident], lessons: Sequence[Lesson], release: str) -> Incident | None:
    """The newest incident of the live release that no lesson has answered yet."""
    answered = {(i.release, i.promise, i.first_seq) for lesson in lessons if (i := lesson.incident) is not None}
    waiting = [i for i in incidents if i.release == release and (i.release, i.promise, i.first_seq) not in answered]
    return waiting[-1] if waiting else None


def cooling(lessons: Sequence[Lesson], now: float | None = None) -> float:
    """Seconds until the service may change again; 0 when it may."""
    changes = [lesson.wall for lesson in lessons if lesson.outcome == "redeployed"]
    if not changes:
        return 0.0
    return max(0.0, changes[-1] + COOL_DOWN_S - (time.time() if now is None else now))


def _with_promise(goal: GoalConfig, incident: Incident) -> GoalConfig:
    """The promise that broke becomes part of the goal, where the goal did not already hold a stricter one."""
    if incident.promise == "latency_p95_ms":
        limit = min(incident.limit, goal.latency_p95_ms or incident.limit)
        return goal.model_copy(update={"latency_p95_ms": limit})
    if incident.promise == "memory_mb":
        return goal.model_copy(update={"memory_mb": min(incident.limit, goal.memory_mb or incident.limit)})
    return goal


def _judged(found: TargetResult, field: Mapping[str, Measurement], goal: GoalConfig) -> list[Verdict]:
    verdicts = []
    for old in found.verdicts:
        measurement = field.get(old.recipe.name)
        if measurement is None or old.metric is None:
            verdicts.append(replace(old, verdict=FAIL))
            continue
        allowed = {name: limit for name, limit in limits(goal, old.metric.name).items() if name == old.metric.name}
        artifact = found.artifacts[old.recipe.name]
        verdicts.append(judge(artifact, {old.metric.name: old.metric}, measurement, goal, allowed))
    return verdicts
