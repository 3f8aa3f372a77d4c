"""Choose: the candidate that keeps the goal and does best by it, with the reasons in sentences. Pure.

Never chosen: a candidate that is not measurably faster than a more accurate one, nor a variant that is not
measurably faster than what it varies. Where intervals overlap, the more accurate and the plainer one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgewright.core.config import GoalConfig
from edgewright.core.verdict import FAIL, PASS, UNDECIDED, Decision, Estimate, Verdict
from edgewright.pipeline.plan import rung
from edgewright.pipeline.statistics import paired_ratio


def choose(target: str, verdicts: Sequence[Verdict], goal: GoalConfig) -> Decision:
    """The decision for one target; `chosen` is "" where no candidate keeps the goal."""
    measured = [v for v in verdicts if v.measurement is not None]
    simulated = any(v.measurement.simulated for v in measured if v.measurement)
    keeping = [v for v in measured if v.verdict != FAIL]
    pareto = tuple(v.recipe.name for v in front(measured))
    if not keeping:
        near, distance = nearest(measured, goal)
        sentences = tuple(f"{v.recipe.name}: {_first_miss(v)}." for v in verdicts)
        return Decision(target, FAIL, "", sentences, pareto, near, distance, simulated)
    worthy = [v for v in keeping if not _pointless(v, keeping, goal)]
    best = max(worthy, key=lambda v: _rank(v, goal))
    sentences = (_chosen(best, goal), *(_passed_over(v, best, keeping, goal) for v in verdicts if v is not best))
    return Decision(target, best.verdict, best.recipe.name, sentences, pareto, simulated=simulated)


def front(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The Pareto set of (metric, speed): nobody is at least as good in both and better in one."""

    def beats(a: Verdict, b: Verdict) -> bool:
        left, right = (_metric(a), _speed(a).value), (_metric(b), _speed(b).value)
        return left != right and left[0] >= right[0] and left[1] >= right[1]

    return [v for v in verdicts if not any(beats(other, v) for other in verdicts)]


def nearest(verdicts: Sequence[Verdict], goal: GoalConfig) -> tuple[str, str]:
    """The candidate that misses the goal by the smallest factor, and by how much it misses."""
    misses = [(factor, v.recipe.name, text) for v in verdicts for factor, text in [_miss(v, goal)]]
    if not misses:
        return "", "no candidate could be built and measured"
    factor, name, text = min(misses)
    return name, f"{text} ({(factor - 1) * 100:.0f} % over)" if factor > 1 else text


def _miss(verdict: Verdict, goal: GoalConfig) -> tuple[float, str]:
    worst, text = 1.0, "; ".join(verdict.reasons)
    m = verdict.measurement
    assert m is not None
    ratios: list[tuple[float, str]] = []
    if goal.latency_p95_ms:
        over = m.p95.value / goal.latency_p95_ms
        ratios.append((over, f"p95 {m.p95.value:.2f} ms against {goal.latency_p95_ms:g} ms"))
    if goal.throughput:
        over = goal.throughput / max(m.throughput.value, 1e-9)
        ratios.append((over, f"{m.throughput.value:.1f} a second against {goal.throughput:g}"))
    if goal.size_mb:
        size = verdict.size_bytes / (1 << 20)
        ratios.append((size / goal.size_mb, f"{size:.1f} MiB against {goal.size_mb:g} MiB"))
    if goal.memory_mb:
        memory = m.memory_bytes / (1 << 20)
        ratios.append((memory / goal.memory_mb, f"{memory:.0f} MiB of memory against {goal.memory_mb:g} MiB"))
    drop = verdict.metric.drop if verdict.metric else None
    limit = goal.max_drop.get(verdict.metric.name) if verdict.metric else None
    if drop is not None and limit is not None and drop.value > limit:
        ratios.append((drop.value / max(limit, 1e-9), f"a drop of {drop.value:.2f} points against {limit:g}"))
    for ratio, said in ratios:
        if ratio > worst:
            worst, text = ratio, said
    return worst, text


def _pointless(verdict: Verdict, keeping: Sequence[Verdict], goal: GoalConfig) -> Verdict | None:
    """A more accurate candidate, or the plain one of a variant, that is as fast: slower is never worth it; for a
    speed goal, not measurably faster is not worth it either."""
    for other in keeping:
        if rung(other.recipe) <= rung(verdict.recipe) and not _varies(verdict, other):
            continue
        gain = gained(verdict, other)
        if (gain.value if goal.optimise in ("size", "memory") else gain.low) <= 1.0:
            return other
    return None


def _varies(verdict: Verdict, other: Verdict) -> bool:
    """Whether it is a variant of `other`, by the names that targets give them: the same and a setting."""
    same = verdict.recipe.precision == other.recipe.precision
    return same and verdict.recipe.name.startswith(f"{other.recipe.name}-")


def gained(verdict: Verdict, other: Verdict) -> Estimate:
    """How many times as fast as `other`: round by round where both ran in the same race, else by what
    each gained on the baseline."""
    own, its = verdict.measurement, other.measurement
    assert own is not None and its is not None
    if own.round_p50 and len(own.round_p50) == len(its.round_p50) and own.base == its.base:
        return paired_ratio(its.round_p50, own.round_p50)
    left, right = _speed(verdict), _speed(other)
    return Estimate(left.value / right.value, left.low / right.value, left.high / right.value)


def _rank(verdict: Verdict, goal: GoalConfig) -> tuple[float, ...]:
    m = verdict.measurement
    assert m is not None
    speed = _speed(verdict).value
    order = {
        "latency": (speed,),
        "throughput": (m.throughput.value,),
        "accuracy": (float(rung(verdict.recipe)), _metric(verdict)),
        "size": (-float(verdict.size_bytes),),
        "memory": (-float(m.memory_bytes),),
    }[goal.optimise]
    return (*order, speed, float(rung(verdict.recipe)))


def _speed(verdict: Verdict) -> Estimate:
    """Speed against the baseline of the same rounds: the only speeds that may be compared."""
    m = verdict.measurement
    assert m is not None
    return m.speedup or Estimate(1.0, 1.0, 1.0)


def _metric(verdict: Verdict) -> float:
    return verdict.metric.estimate.value if verdict.metric else 0.0


def _chosen(best: Verdict, goal: GoalConfig) -> str:
    m, speed = best.measurement, _speed(best)
    assert m is not None
    text = (
        f"{best.recipe.name} is chosen for {goal.optimise}: {m.p50.value:.2f} ms, {speed.value:.2f} "
        f"({speed.low:.2f} to {speed.high:.2f}) times the speed of the baseline"
    )
    if best.metric and best.metric.drop:
        d = best.metric.drop
        text += f", at a drop of {d.value:.2f} ({d.low:.2f} to {d.high:.2f}) points of {best.metric.name}"
    if best.verdict == UNDECIDED:
        text += "; its verdict is undecided and was accepted"
    return text + "."


def _passed_over(verdict: Verdict, best: Verdict, keeping: Sequence[Verdict], goal: GoalConfig) -> str:
    name = verdict.recipe.name
    if verdict.measurement is None:
        return f"{name} could not be measured: {verdict.error or _first_miss(verdict)}"
    if verdict.verdict == FAIL:
        return f"{name} fails: {_first_miss(verdict)}."
    other = _pointless(verdict, keeping, goal)
    if other is not None:
        why = "which is plainer" if _varies(verdict, other) else "which is more accurate"
        return f"{name} is passed over: it is not measurably faster than {other.recipe.name}, {why}."
    gain = gained(best, verdict)
    why = f"{best.recipe.name} is better for {goal.optimise} ({gain.value:.2f} times its speed)"
    return f"{name} keeps the goal too, but {why}."


def _first_miss(verdict: Verdict) -> str:
    return verdict.reasons[0] if len(verdict.reasons) == 1 else "; ".join(verdict.reasons) or verdict.error


def accepted(decision: Decision) -> bool:
    """True where something may be deployed."""
    return decision.verdict in (PASS, UNDECIDED) and bool(decision.chosen)


def renamed(decision: Decision, target: str) -> Decision:
    return replace(decision, target=target)
