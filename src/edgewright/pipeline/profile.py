"""Profile: where the time goes, operator by operator, in one schema, and what an expert sees in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from edgewright import findings, targets
from edgewright.core.contracts import Link
from edgewright.core.facts import Facts
from edgewright.core.profile import Finding, Profile
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record, digest_of
from edgewright.core.roofline import annotate
from edgewright.core.verdict import Measurement
from edgewright.pipeline.baseline import baseline_recipe, probe
from edgewright.pipeline.build import build
from edgewright.pipeline.connect import connect
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.place import place
from edgewright.pipeline.predictions import sample_paths
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.race import Entrant, race
from edgewright.pipeline.worker import Worker
from edgewright.store.cache import code_version

ITERATIONS = 20


@dataclass(frozen=True)
class Profiled(Record):
    """One runtime's profile with what the rules found in it."""

    recipe: str
    family: str
    facts: Facts
    profile: Profile
    findings: tuple[Finding, ...]
    measurement: Measurement | None = None


@dataclass(frozen=True)
class ProfileResult(Record):
    """What `edgewright profile` gives: the model's size and each runtime's view of the same model."""

    model: str
    parameters: int
    flops: float
    file_bytes: int
    profiles: tuple[Profiled, ...]
    notes: tuple[str, ...] = ()


async def profile_artifact(
    project: Project, loaded: Loaded, data: Data, artifact: Artifact, link: Link, facts: Facts, progress: Progress
) -> Profiled:
    """One artefact's profile on the device, annotated by the roofline, with the findings of every rule."""
    progress.stage("profile", artifact.recipe.name)
    key = digest_of(code_version("device", "pipeline/profile"), artifact.files, data.validation.digest, link.address)
    raw = project.store.get("profile", key, Profile)
    if raw is None:
        samples = [await place(link, path) for path in sample_paths(data.validation, 4)]
        async with Worker(link, await place(link, artifact.folder)) as worker:
            answer = await worker.ask("profile", samples=samples, iterations=ITERATIONS)
        raw = project.store.put("profile", key, Profile.from_json(answer.get("profile", answer)))
    seen = annotate(replace(raw, device=link.address), facts)
    return Profiled(artifact.recipe.name, artifact.recipe.family, facts, seen, findings.look(seen, facts))


def profile(project: Project, progress: Progress) -> ProfileResult:
    """The model's baseline and its plain fp32 form in every runtime here, profiled on the first target's device."""
    return asyncio.run(_profile(project, progress))


async def _profile(project: Project, progress: Progress) -> ProfileResult:
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    target = project.config.targets[0]
    link = await connect(project, target)
    notes: list[str] = list(project.notes)
    try:
        views = []
        for recipe in _recipes(loaded, target.family):
            facts = await probe(project, _prober(recipe.family, target.family), link, progress)
            artifact = build(project, loaded, datasets, recipe, progress)
            view = await profile_artifact(project, loaded, datasets, artifact, link, facts, progress)
            timed = await _timed(project, datasets, artifact, link, progress)
            views.append(replace(view, measurement=timed))
    finally:
        await link.close()
    main = loaded.main
    flops = max((sum(op.flops for op in view.profile.operators) for view in views), default=0.0)
    return ProfileResult(project.name, main.parameters, flops, main.path.stat().st_size, tuple(views), tuple(notes))


def _recipes(loaded: Loaded, family: str) -> list[Recipe]:
    """The baseline, then plain fp32 for the families beside it, so that one schema shows them side by side."""
    base = baseline_recipe(loaded, family)
    others = [name for name in dict.fromkeys(("onnxruntime", family)) if name != base.family]
    plain = [
        Recipe(name=f"{name}-fp32", family=name, precision="fp32", runtime={"inference_precision": "f32"})
        for name in others
        if name in targets.names()
    ]
    return [base, *plain]


def _prober(family: str, target: str) -> str:
    """PyTorch has no probe of its own worth trusting: the target's facts hold for the same device."""
    return target if family == "torch" else family


@dataclass(frozen=True)
class _Timed(Record):
    measurement: Measurement


async def _timed(project: Project, datasets: Data, artifact: Artifact, link: Link, progress: Progress) -> Measurement:
    paths = sample_paths(datasets.validation, 8)
    key = digest_of(code_version("device", "pipeline/race"), artifact.files, [str(p) for p in paths], link.address)
    stored = project.store.get("timed", key, _Timed)
    if stored is None:
        samples = [await place(link, path) for path in paths]
        entrant = Entrant(artifact.recipe.name, await place(link, artifact.folder))
        measured = await race(link, [entrant], samples, progress, rounds=4)
        stored = project.store.put("timed", key, _Timed(measured[entrant.name]))
    return stored.measurement
