"""Ship: the chosen artefact of a climbed target, packed and made live on its device."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.recipe import Artifact
from edgewright.core.record import digest_of
from edgewright.core.verdict import Decision
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.deploy import DeployPlan, Release, deploy, plan_deploy
from edgewright.pipeline.device_program import operate
from edgewright.pipeline.golden import Golden, record_golden
from edgewright.pipeline.load import Data, data_base
from edgewright.pipeline.native_program import with_program
from edgewright.pipeline.pack import pack
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.pipeline.provenance import inputs_of
from edgewright.pipeline.signing import Vouched, vouch
from edgewright.pipeline.wheels import Wheels, platform_of, requirements, resolve, tried
from edgewright.store.cache import code_version


async def seal(
    project: Project, artifact: Artifact, decision: Decision, datasets: Data, link: Link, progress: Progress
) -> Bundle:
    """The bundle of an artefact, with golden samples out of the validation set, made once; signed, if `sign:` names
    a key."""
    progress.stage("pack", artifact.recipe.name)
    golden = await record_golden(project.store, artifact, datasets.validation, link)
    if project.config.serve.engine == "cpp":
        artifact = await with_program(project, artifact, link, progress)
    wheels = await _wheels(project, artifact, golden, link) if project.config.serve.wheels else None
    code = code_version("pipeline/pack", "pipeline/bundle", "pipeline/provenance", "device")
    key = digest_of(
        code,
        artifact.files,
        golden.folder.name,
        decision.target,
        decision.verdict,
        project.config.goal.model_dump(),
        wheels.files if wheels else None,
    )
    kept = project.store.get("bundle", key, Bundle)
    if kept is None or not kept.path.is_dir():
        out = project.store.folder("bundle", key)
        roles = {"calibration": datasets.calibration, "validation": datasets.validation}
        inputs = inputs_of(project.model_spec(), {role: data.digest for role, data in roles.items() if data})
        bundle = pack(artifact, decision, golden, out, goal=project.config.goal, inputs=inputs, wheels=wheels)
        kept = project.store.put("bundle", key, bundle)
    signed = vouch(kept, project.config.sign, project.base, project.store.get("vouched", decision.target, Vouched))
    if signed is not None:
        project.store.put("vouched", decision.target, Vouched(kept.digest, signed.number))
    return kept


async def _wheels(project: Project, artifact: Artifact, golden: Golden, link: Link) -> Wheels:
    """The packages of the service for the device's own platform; imported there, where that is this machine."""
    target = platform_of(await operate(link, "status", {}))
    found = resolve(project.store, requirements(artifact.service, golden, project.config.serve.source), target)
    return replace(found, executed=await tried(found, link))


async def ship(
    project: Project, target: TargetConfig, bundle: Bundle, link: Link, progress: Progress, *, take_over: bool = False
) -> Release:
    """The bundle live on the target's device, or RejectedRelease and the device as it was."""
    progress.stage("deploy", f"{project.name} ({bundle.precision}) to {target.name}")
    if shipped(project, bundle.digest) != bundle:
        project.store.put("shipped", bundle.digest, bundle)
    return await deploy(bundle, target, served(project), link, store=project.store, take_over=take_over)


def shipped(project: Project, digest: str) -> Bundle | None:
    """The bundle of a release that was deployed out of this store: all that watching needs of the run."""
    bundle = project.store.get("shipped", digest, Bundle)
    return bundle if bundle is not None and bundle.path.is_dir() else None


async def plan_ship(project: Project, target: TargetConfig, bundle: Bundle, link: Link) -> DeployPlan:
    """What `ship` would do."""
    return await plan_deploy(bundle, target, served(project), link)


def served(project: Project) -> ServeConfig:
    """`serve:` with a folder or file made absolute (data made by `prepare` included); cameras and
    addresses stay as they are."""
    serve = project.config.serve
    source = serve.source
    if not source or re.match(r"(camera:\d+$|[a-z]+://)", source):
        return serve
    kind, path = ("loop:", source[5:]) if source.startswith("loop:") else ("", source)
    base = data_base(project)
    return serve.model_copy(update={"source": kind + str((base / Path(path).expanduser()).absolute())})
