"""Ladder: plan → build → check, one recipe after another, until a target's ladder is done, then choose."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgewright import targets
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError, EdgewrightError, InputError
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record
from edgewright.core.verdict import FAIL, Decision, Measurement, MetricResult, Verdict
from edgewright.pipeline.baseline import build_baseline, probe
from edgewright.pipeline.build import build
from edgewright.pipeline.check import accuracy, allowed_drops, check, measure_alone
from edgewright.pipeline.choose import choose
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.plan import Evidence, next_recipe
from edgewright.pipeline.profile import Profiled, profile_artifact
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetResult(Record):
    """Everything found for one target: the evidence, the candidates, the decision."""

    target: TargetName
    facts: Facts
    baseline: Verdict
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
    """What the family can build, cut to the precisions that the configuration allows; fp32 always stays,
    because a run always ends usable."""
    calibrated = data.calibration is not None
    member = targets.get(target.family)
    found = tuple(member.offers(loaded.main, loaded.task, facts, target.options, calibrated))
    if target.precision is not None:
        unknown = [p for p in target.precision if p not in member.precisions]
        if unknown:
            raise ConfigError(
                f"The family {target.family} cannot build {unknown[0]}.", f"It builds {', '.join(member.precisions)}."
            )
        wanted = {*target.precision, "fp32"}
        if "int8" in wanted and not any(r.precision == "int8" for r in found) and not calibrated:
            raise ConfigError(
                f"Target {target.name} asks for int8, and there is no calibration data.",
                "Give `data: {calibration: …}`, a folder of typical inputs without labels.",
            )
        found = tuple(r for r in found if r.precision in wanted)
    return found


async def evidence_of(
    project: Project, target: TargetConfig, loaded: Loaded, data: Data, link: Link, progress: Progress
) -> tuple[Artifact, Evidence, Profiled]:
    """The baseline built, measured and profiled on the device: what a plan looks at."""
    facts = await probe(project, target.family, link, progress)
    base = build_baseline(project, loaded, data, progress)
    view = await profile_artifact(project, loaded, data, base, link, facts, progress)
    progress.stage("benchmark", f"the baseline, {base.recipe.name}")
    alone = await measure_alone(project, data, base, link, progress)
    return base, Evidence(facts, alone, view.profile, (*view.findings, *data.health)), view


async def climb(
    project: Project, target: TargetConfig, loaded: Loaded, data: Data, link: Link, progress: Progress
) -> TargetResult:
    """One target's candidates, checked, and the decision among them."""
    allowed_drops(project, loaded, data)
    base, evidence, view = await evidence_of(project, target, loaded, data, link, progress)
    offers = offers_of(target, loaded, data, evidence.facts)
    history: list[Verdict] = []
    artifacts: dict[str, Artifact] = {}
    seen: list[Measurement] = []
    while (recipe := next_recipe(offers, history, evidence)) is not None:
        history.append(await _try(project, loaded, data, recipe, base, link, progress, artifacts, seen))
    history += await _tuned(project, target, loaded, data, base, evidence, history, link, progress, artifacts, seen)
    decision = choose(target.name, history, project.config.goal)
    metrics = await accuracy(project, loaded, data, base, base, link, allowed_drops(project, loaded, data), progress)
    baseline = _baseline_verdict(base, seen[-1] if seen else evidence.baseline, next(iter(metrics.values())))
    name = TargetName(target.name, target.family, target.device)
    return TargetResult(name, evidence.facts, baseline, view, tuple(history), artifacts, decision, data.health)


async def _tuned(
    project: Project,
    target: TargetConfig,
    loaded: Loaded,
    data: Data,
    base: Artifact,
    evidence: Evidence,
    history: Sequence[Verdict],
    link: Link,
    progress: Progress,
    artifacts: dict[str, Artifact],
    seen: list[Measurement],
) -> list[Verdict]:
    """Runtime variants of the leader (threads, streams), where the family knows any worth trying."""
    member = targets.get(target.family)
    tune = getattr(member, "tune", None)
    decision = choose(target.name, history, project.config.goal)
    if tune is None or not decision.chosen:
        return []
    leader = artifacts[decision.chosen].recipe
    found = []
    for recipe in list(tune(leader, evidence.facts, project.config.goal))[:3]:
        found.append(await _try(project, loaded, data, recipe, base, link, progress, artifacts, seen))
    return found


async def _try(
    project: Project,
    loaded: Loaded,
    data: Data,
    recipe: Recipe,
    base: Artifact,
    link: Link,
    progress: Progress,
    artifacts: dict[str, Artifact],
    seen: list[Measurement],
) -> Verdict:
    """Builds and checks one recipe. What fails is a failed candidate, never a failed run."""
    try:
        artifact = build(project, loaded, data, recipe, progress)
        checked = await check(project, loaded, data, artifact, base, link, progress)
    except (ConfigError, InputError):
        raise
    except EdgewrightError as error:
        return _failed(recipe, str(error))
    except Exception as error:  # a runtime's own exception: any type, so it is caught by none in particular
        log.exception("candidate %s failed", recipe.name)
        return _failed(recipe, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
    artifacts[recipe.name] = artifact
    seen.append(checked.baseline)
    return replace(checked.verdict, recipe=recipe)


def _failed(recipe: Recipe, why: str) -> Verdict:
    return Verdict(recipe, FAIL, (f"it could not be built or run: {why}",), error=why)


def _baseline_verdict(base: Artifact, measured: Measurement, metric: MetricResult) -> Verdict:
    own = replace(measured, speedup=None, base="")
    return Verdict(base.recipe, "pass", ("the reference",), replace(metric, drop=None), own, base.size_bytes, 0.0)
