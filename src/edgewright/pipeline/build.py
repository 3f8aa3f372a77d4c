"""Build: a recipe to a service folder, through its target; the folder is final and content-addressed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright import targets
from edgewright.core.config import TargetConfig
from edgewright.core.contracts import BuildResult
from edgewright.core.errors import EdgewrightError
from edgewright.core.profile import Finding
from edgewright.core.recipe import Artifact, EngineSpec, Port, Recipe, ServiceSpec
from edgewright.core.record import Record, digest_of
from edgewright.core.task import Dataset
from edgewright.pipeline.assemble import assemble
from edgewright.pipeline.connect import connect
from edgewright.pipeline.load import Data, Loaded
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.store.cache import code_version


def build(project: Project, loaded: Loaded, data: Data, recipe: Recipe, progress: Progress) -> Artifact:
    """The artefact of a recipe. Recipes that differ only in runtime settings share their built files."""
    progress.stage("build", f"{recipe.name} for {recipe.family}")
    store = project.store
    built_key = key_of(loaded, data, recipe)
    built = store.get("build", built_key, _Built)
    if built is None or not store.folder("build", built_key).is_dir():
        calibration = calibration_of(data, recipe)
        built = take_in(
            project, loaded, data, recipe, lambda into: _by_target(project, loaded, recipe, calibration, into)
        )
    # Without the prediction and the reason, which change with what was measured before: the files do not.
    key = digest_of(built_key, recipe.name, recipe.runtime)
    artifact = store.get("artifact", key, Artifact)
    if artifact and (store.folder("artifact", key) / "service.json").is_file():
        return replace(artifact, recipe=recipe, folder=store.folder("artifact", key))
    service = with_runtime(built.service, recipe)
    source = store.folder("build", built_key)
    with store.making("artifact", key) as folder:
        link_tree(source / "model", folder / "model")
        assemble(service, folder)
    folder = store.folder("artifact", key)
    files = {str(p.relative_to(folder)): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    size = sum(p.stat().st_size for p in (folder / "model").rglob("*") if p.is_file())
    told = (built.quantised, built.notes, built.reports)
    artifact = Artifact(recipe, folder, files, service, size, built.seconds, *told)
    return store.put("artifact", key, artifact)


@dataclass(frozen=True)
class _Built(Record):
    service: ServiceSpec
    quantised: dict[str, int]
    notes: tuple[str, ...]
    seconds: float
    reports: tuple[Finding, ...] = ()


def calibration_of(data: Data, recipe: Recipe) -> Dataset | None:
    """What the recipe calibrates on, None where it needs nothing."""
    wanted = recipe.precision in ("int8", "mixed") and recipe.quantiser.get("kind") != "dynamic"
    return data.calibration if wanted else None


def key_of(loaded: Loaded, data: Data, recipe: Recipe) -> str:
    """Under which the built files of a recipe are stored."""
    code = code_version("graph", f"targets/{recipe.family}", "device", f"tasks/{loaded.task.kind}", "pipeline/assemble")
    calibration = calibration_of(data, recipe)
    parts = (code, _versions(recipe.family), loaded.key, recipe.build_key())
    return digest_of(*parts, calibration.digest if calibration else "")


def take_in(
    project: Project, loaded: Loaded, data: Data, recipe: Recipe, write: Callable[[Path], BuildResult]
) -> _Built:
    """Stores what `write` puts into a folder as the recipe's build: made by the target, or brought from elsewhere."""
    started = time.monotonic()
    key = key_of(loaded, data, recipe)
    with project.store.making("build", key) as folder:
        result = write(folder)
        if not (folder / "model").is_dir():
            raise EdgewrightError(f"The target {recipe.family} wrote no model.", "Report this.")
    seconds = time.monotonic() - started
    built = _Built(result.service, dict(result.quantised), result.notes, seconds, result.reports)
    return project.store.put("build", key, built)


def _by_target(
    project: Project, loaded: Loaded, recipe: Recipe, calibration: Dataset | None, folder: Path
) -> BuildResult:
    """The target's own build: here, or with its tools on the machine that the recipe names. That one gets a thread
    with a loop of its own, because a build is called from inside the story's."""
    member = targets.get(recipe.family)
    build_on = getattr(member, "build_on", None)
    if build_on is None:
        return member.build(loaded.models, loaded.task, recipe, calibration, folder)

    async def elsewhere() -> BuildResult:
        name, address = f"{recipe.family}-converter", str(recipe.toolchain.get("host") or "local")
        options = dict(recipe.toolchain)
        host = await connect(project, TargetConfig(name=name, family=recipe.family, device=address, options=options))
        try:
            found: BuildResult = await build_on(host, loaded.models, loaded.task, recipe, calibration, folder)
            return found
        finally:
            await host.close()

    with ThreadPoolExecutor(1, thread_name_prefix="build") as pool:
        return pool.submit(lambda: asyncio.run(elsewhere())).result()


def with_runtime(service: ServiceSpec, recipe: Recipe) -> ServiceSpec:
    """The service with the recipe's runtime settings laid over each engine's own. A setting `batch`
    reshapes what was built for batch one when it is opened, so that a sweep needs no second build."""
    batch = int(recipe.runtime.get("batch", recipe.batch))

    def port(one: Port) -> Port:
        return replace(one, shape=(batch, *one.shape[1:])) if one.shape[:1] == (1,) and batch > 1 else one

    def settled(engine: EngineSpec) -> EngineSpec:
        inputs, outputs = tuple(map(port, engine.inputs)), tuple(map(port, engine.outputs))
        return replace(engine, settings={**engine.settings, **recipe.runtime}, inputs=inputs, outputs=outputs)

    engines = {role: settled(engine) for role, engine in service.engines.items()}
    return replace(service, precision=recipe.precision, batch=batch, engines=engines)


def _versions(family: str) -> dict[str, str]:
    import importlib.metadata as metadata

    found = {}
    for name in (family, "onnxruntime", "onnx", "nncf", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def link_tree(source: Path, target: Path) -> None:
    """Hard links where the file system allows: variants of one build share their bytes."""

    def link(a: str, b: str) -> None:
        try:
            os.link(a, b)
        except OSError:
            shutil.copyfile(a, b)

    shutil.copytree(source, target, copy_function=link)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
