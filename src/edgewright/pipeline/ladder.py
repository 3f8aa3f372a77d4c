"""Ladder: plan → build → check, one recipe after another, until a target's ladder is done, then choose."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from edgewright import targets
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, EdgewrightError, InputError
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record
from edgewright.core.verdict import FAIL, PASS, Decision, Measurement, MetricResult, Verdict
from edgewright.pipeline.baseline import build_baseline, probe
from edgewright.pipeline.build import build
from edgewright.pipeline.check import Bench, Checked, accuracy, allowed_drops, check, final, measure_alone
from edgewright.pipeline.choose import choose
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.plan import Evidence, next_recipe
from edgewright.pipeline.profile import Profiled, profile_artifact
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project

MOST_VARIANTS = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetResult(Record):
    """Everything found for one target: the evidence, the candidates, the decision."""

    target: TargetName
    facts: Facts
    baseline: Verdict
    baseline_artifact: Artifact
    profile: Profiled | None
    verdicts: tuple[Verdict, ...]
    artifacts: Mapping[str, Artifact]
    decision: Decision
    calibration_health: tuple[Finding, ...] = ()

    @property
    def chosen(self) -> Artifact | None:
        return self.artifacts.get(self.decision.chosen)

    def verdict_of(self, name: str) -> Verdict | None:
        return next((v for v in self.verdicts if v.recipe.name == name), None)


@dataclass(frozen=True)
class TargetName(Record):
    """Which target: its name in the configuration, its family and its device's address."""

    name: str
    family: str
    device: str


def offers_of(target: TargetConfig, loaded: Loaded, data: Data, facts: Facts) -> tuple[Recipe, ...]:
    """What the family can build, cut to the precisions that the configuration allows; fp32 always stays (and what
    else the family never leaves out), because a run always ends usable."""
    calibrated = data.calibration is not None
    member = targets.get(target.family)
    found = tuple(member.offers(loaded.main, loaded.task, facts, target.settings, calibrated))
    if target.precision is not None:
        unknown = [p for p in target.precision if p not in member.precisions]
        if unknown:
            raise ConfigError(
                f"The family {target.family} cannot build {unknown[0]}.", f"It builds {', '.join(member.precisions)}."
            )
        wanted = {*target.precision, *getattr(member, "always", ("fp32",))}
        if "int8" in wanted and not any(r.precision == "int8" for r in found) and not calibrated:
            raise ConfigError(
                f"Target {target.name} asks for int8, and there is no calibration data.",
                "Give `data: {calibration: …}`, a folder of typical inputs without labels.",
            )
        found = tuple(r for r in found if r.precision in wanted)
    return found


async def set_up(
    project: Project, target: TargetConfig, loaded: Loaded, data: Data, link: Link, progress: Progress
) -> tuple[Bench, Evidence, Profiled]:
    """The baseline built, profiled and measured on the device: what a plan looks at."""
    facts = await probe(project, target.family, link, progress)
    base = build_baseline(project, loaded, data, target.family, progress)
    bench = Bench(project, loaded, data, base, link, progress)
    view = await profile_artifact(project, loaded, data, base, link, facts, progress)
    progress.stage("benchmark", f"the baseline, {base.recipe.name}")
    alone = await measure_alone(bench, base)
    return bench, Evidence(facts, alone, view.profile, (*view.findings, *data.health)), view


async def climb(
    project: Project, target: TargetConfig, loaded: Loaded, data: Data, link: Link, progress: Progress
) -> TargetResult:
    """One target's candidates, checked, and the decision among them."""
    allowed = allowed_drops(project, loaded, data)
    bench, evidence, view = await set_up(project, target, loaded, data, link, progress)
    offers = offers_of(target, loaded, data, evidence.facts)
    tried = _Tried([], {})
    while (recipe := next_recipe(offers, tried.verdicts, evidence)) is not None:
        await _try(bench, recipe, tried)
    for recipe in _variants(project, target, evidence, tried):
        await _try(bench, recipe, tried)
    last = {heat.artifact.recipe.name: heat for heat in await final(bench, list(tried.heats.values()))}
    verdicts = [_renewed(verdict, last) for verdict in tried.verdicts]
    decision = choose(target.name, verdicts, project.config.goal)
    progress.stage("check", "accuracy of the baseline")
    metrics = await accuracy(bench, bench.baseline, allowed)
    measured = next((heat.baseline for heat in last.values()), evidence.baseline)
    baseline = _baseline_verdict(bench.baseline, measured, next(iter(metrics.values())))
    return TargetResult(
        target=TargetName(target.name, target.family, target.device),
        facts=evidence.facts,
        baseline=baseline,
        baseline_artifact=bench.baseline,
        profile=view,
        verdicts=tuple(verdicts),
        artifacts={name: heat.artifact for name, heat in tried.heats.items()},
        decision=decision,
        calibration_health=data.health,
    )


@dataclass
class _Tried:
    """What the climb has so far: every verdict, and the heats of those that could be measured, by name."""

    verdicts: list[Verdict]
    heats: dict[str, Checked]


def _renewed(verdict: Verdict, last: Mapping[str, Checked]) -> Verdict:
    """The verdict by the final race; one that could not be measured stays as it was."""
    heat = last.get(verdict.recipe.name)
    return replace(heat.verdict, recipe=verdict.recipe) if heat else verdict


def _variants(project: Project, target: TargetConfig, evidence: Evidence, tried: _Tried) -> Sequence[Recipe]:
    """Runtime variants of the leader (threads, streams), where the family knows any worth trying."""
    tune = getattr(targets.get(target.family), "tune", None)
    decision = choose(target.name, tried.verdicts, project.config.goal)
    if tune is None or not decision.chosen:
        return ()
    leader = tried.heats[decision.chosen].artifact.recipe
    return tuple(islice(tune(leader, evidence.facts, project.config.goal), MOST_VARIANTS))


async def _try(bench: Bench, recipe: Recipe, tried: _Tried) -> None:
    """Builds and checks one recipe. What fails is a failed candidate, never a failed run."""
    try:
        artifact = build(bench.project, bench.loaded, bench.data, recipe, bench.progress)
        checked = await check(bench, artifact)
    except (ConfigError, InputError):
        raise
    except EdgewrightError as error:
        tried.verdicts.append(_failed(recipe, str(error)))
    except Exception as error:  # a runtime raises types of its own: none may end the run
        log.exception("candidate %s failed", recipe.name)
        tried.verdicts.append(_failed(recipe, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"))
    else:
        tried.heats[recipe.name] = checked
        tried.verdicts.append(replace(checked.verdict, recipe=recipe))


def _failed(recipe: Recipe, why: str) -> Verdict:
    return Verdict(recipe, FAIL, (f"it could not be built or run: {why}",), error=why)


def _baseline_verdict(base: Artifact, measured: Measurement, metric: MetricResult) -> Verdict:
    own = replace(measured, speedup=None, base="")
    return Verdict(base.recipe, PASS, ("the reference",), replace(metric, drop=None), own, base.size_bytes)
