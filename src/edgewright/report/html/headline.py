"""The headline of a target: one sentence, and the few figures that matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgewright.core.verdict import Verdict
from edgewright.report import numbers
from edgewright.report.html.candidates import metric_name, metric_text
from edgewright.report.model import TargetReport

Words = Callable[..., str]


@dataclass(frozen=True)
class Tile:
    """One figure of the headline with what is said below it."""

    name: str
    value: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headline:
    sentence: str
    tiles: tuple[Tile, ...]


def headline(target: TargetReport, t: Words, lang: str) -> Headline:
    """The chosen candidate against the baseline; where none keeps the goal, the nearest and how far it is."""
    chosen = target.chosen()
    if chosen is None:
        decision = target.decision
        near = t("headline.nearest", name=decision.nearest, distance=decision.distance) if decision.nearest else ""
        nearest = next((v for v in target.verdicts() if v.recipe.name == decision.nearest), None)
        stop = "。" if lang == "zh" else ". "
        return Headline(t("headline.none") + (stop + near if near else ""), _tiles(nearest, target, t, lang))
    return Headline(_sentence(chosen, target, t, lang), _tiles(chosen, target, t, lang))


def _sentence(chosen: Verdict, target: TargetReport, t: Words, lang: str) -> str:
    m, name = chosen.measurement, chosen.recipe.name
    if m is None or m.speedup is None or name == target.baseline.recipe.name:
        return t("headline.chosen", name=name)
    key = "headline.fast" if m.speedup.value >= 1 else "headline.slow"
    base = target.baseline.recipe.name
    said = t(key, name=name, speed=numbers.figure(m.speedup.value), base=base)
    drop = chosen.metric.drop if chosen.metric else None
    if chosen.metric is None or drop is None:
        return said
    metric = metric_name(chosen.metric.name, lang)
    if abs(drop.value) < 0.005:
        return said + t("headline.same", metric=metric)
    key = "headline.drop" if drop.value > 0 else "headline.gain"
    return said + t(key, drop=f"{abs(drop.value):.2f}", metric=metric)


def _tiles(verdict: Verdict | None, target: TargetReport, t: Words, lang: str) -> tuple[Tile, ...]:
    if verdict is None or verdict.measurement is None:
        return ()
    m, base = verdict.measurement, target.baseline
    tiles = [
        Tile(
            t("tile.latency"),
            numbers.milliseconds(m.p50.value),
            _notes(numbers.interval(m.p50), t, t("tile.p95", value=numbers.milliseconds(m.p95.value))),
        )
    ]
    if m.speedup is not None:
        name = t("tile.speed", base=base.recipe.name)
        tiles.append(Tile(name, f"{numbers.figure(m.speedup.value)} ×", _notes(numbers.interval(m.speedup), t)))
    if verdict.metric is not None:
        tiles.append(_metric_tile(verdict, t, lang))
    rate = t("per_second", value=numbers.figure(m.throughput.value))
    tiles.append(Tile(t("tile.throughput"), rate, _notes(numbers.interval(m.throughput), t)))
    size, memory = numbers.byte_size(verdict.size_bytes), numbers.byte_size(m.memory_bytes)
    base_size = _against(base, numbers.byte_size(base.size_bytes), t)
    base_memory = _against(base, numbers.byte_size(base.measurement.memory_bytes if base.measurement else 0), t)
    return (*tiles, Tile(t("tile.size"), size, base_size), Tile(t("tile.memory"), memory, base_memory))


def _metric_tile(verdict: Verdict, t: Words, lang: str) -> Tile:
    assert verdict.metric is not None
    metric, drop = verdict.metric, verdict.metric.drop
    notes = []
    if drop is not None:
        between, value = numbers.interval(drop, decimals=2), numbers.signed(drop.value)
        notes.append(t("tile.drop_interval", value=value, interval=between) if between else t("tile.drop", value=value))
    if metric.kind == "agreement":
        notes.append(t("kind.agreement"))
    return Tile(metric_name(metric.name, lang), metric_text(metric.name, metric.estimate.value), tuple(notes))


def _notes(between: str, t: Words, *others: str) -> tuple[str, ...]:
    return (*others, *([t("interval", interval=between)] if between else []))


def _against(base: Verdict, value: str, t: Words) -> tuple[str, ...]:
    return () if value == numbers.UNKNOWN else (t("tile.base", base=base.recipe.name, value=value),)
