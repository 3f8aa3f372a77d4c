"""A C++ program for what a run chose: `edgewright export-code --language cpp`.

The project holds the very files that were checked, and golden samples recorded by them, so that the program can be
held against the service it was made from on any machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright import targets
from edgewright.codegen.program import write_program
from edgewright.codegen.task_data import backend_for, backend_of, task_data
from edgewright.core.config import TargetConfig
from edgewright.core.errors import InputError
from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record
from edgewright.pipeline.baseline import probe
from edgewright.pipeline.build import build
from edgewright.pipeline.connect import connect
from edgewright.pipeline.golden import Golden, record_golden
from edgewright.pipeline.ladder import offers_of
from edgewright.pipeline.load import data, load
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project

LANGUAGES = ("cpp",)


@dataclass(frozen=True)
class ExportedProgram(Record):
    """Where the project lies, what it runs (a recipe's name), and what to tell its owner."""

    folder: Path
    language: str
    backend: str
    target: str
    recipe: str
    precision: str
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def export_program(
    project: Project, progress: Progress, *, language: str = "cpp", backend: str | None = None, out: Path
) -> ExportedProgram:
    """Writes the C++ project of the first target into the folder `out`: the artefact that the last run chose, else
    the family's first half-precision (or fp32) one, built now. InputError where the task has no C++ program."""
    if language not in LANGUAGES:
        raise InputError(f"There is no program in {language}.", f"Known: {', '.join(LANGUAGES)}.")
    backend_for(project.config.targets[0].family, backend)  # said before anything is built
    return asyncio.run(_export(project, progress, backend, out))


async def _export(project: Project, progress: Progress, backend: str | None, out: Path) -> ExportedProgram:
    target = project.config.targets[0]
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    link = await connect(project, target)
    try:
        facts = await probe(project, target.family, link, progress)
        recipe, notes = _recipe(project, target, offers_of(target, loaded, datasets, facts), facts)
        artifact = build(project, loaded, datasets, recipe, progress)
        task_data(artifact.service, backend_of(artifact.service, backend))  # said before samples are recorded
        progress.stage("golden", artifact.recipe.name)
        golden = await record_golden(project.store, artifact, datasets.validation, link)
    finally:
        await link.close()
    progress.stage("write", str(out))
    service = replace(artifact.service, name=project.name)
    program = write_program(service, out, backend=backend, beside=_beside(artifact, golden))
    return ExportedProgram(
        out, "cpp", program.backend, target.name, recipe.name, recipe.precision, program.files, notes
    )


def _recipe(
    project: Project, target: TargetConfig, offers: Sequence[Recipe], facts: Facts
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe to export, with what there is to say about the choice."""
    chosen = _chosen(project, target.name)
    for recipe in _with_variants(project, target, offers, facts) if chosen else ():
        if recipe.name == chosen:
            return recipe, ()
    plain = [r for precision in ("fp16", "bf16", "fp32") for r in offers if r.precision == precision]
    if not plain:
        raise InputError(f"The family {target.family} offers nothing in half or single precision.", "Run it first.")
    why = f"{chosen}, which the last run chose, is no longer offered" if chosen else "No run has chosen an artefact yet"
    return plain[0], (f"{why}: this is {plain[0].name}, unmeasured.",)


def _with_variants(project: Project, target: TargetConfig, offers: Sequence[Recipe], facts: Facts) -> Iterator[Recipe]:
    """The offers, then their runtime variants, which a run tries on its leader."""
    yield from offers
    tune = getattr(targets.get(target.family), "tune", None)
    if tune is not None:
        for offer in offers:
            yield from tune(offer, facts, project.config.goal)


def _chosen(project: Project, target: str) -> str:
    """The recipe that the last run of this project chose for a target; "" where there is none."""
    try:
        text = (project.store.run_folder(project.name) / target / "decision.json").read_text(encoding="utf-8")
        return str(json.loads(text)["chosen"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _beside(artifact: Artifact, golden: Golden) -> Mapping[str, Path]:
    """The artefact's own files and its golden samples, by their path in the project."""
    own = {name: artifact.folder / name for name in artifact.files if name.startswith("model/")}
    samples = {
        path.relative_to(golden.folder).as_posix(): path for path in sorted((golden.folder / "golden").iterdir())
    }
    return {"service.json": artifact.folder / "service.json", **own, **samples}
