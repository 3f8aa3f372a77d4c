"""Conversions for a machine that cannot be reached from here: written as a folder with a script, taken back as builds.

`edgewright export-code convert CONFIG -o DIR`, then `bash DIR/convert.sh` where the vendor's toolkit is, then
`edgewright build CONFIG --import DIR`. What is taken back is what `run` would have built, so it goes on from there.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgewright import targets
from edgewright.core.config import TargetConfig
from edgewright.core.errors import ConfigError, DeviceError, InputError
from edgewright.core.facts import Facts
from edgewright.core.recipe import Artifact, Recipe
from edgewright.core.record import Record, digest_of
from edgewright.pipeline.baseline import probe
from edgewright.pipeline.build import build, calibration_of, take_in
from edgewright.pipeline.connect import connect
from edgewright.pipeline.ladder import offers_of
from edgewright.pipeline.load import Data, Loaded, data, load
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project

INDEX = "conversion.json"
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Exported(Record):
    """A written folder: the recipes in it, and the commands of its script."""

    folder: str
    recipes: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Imported(Record):
    """Builds taken back, and recipes whose result is not there."""

    artifacts: tuple[Artifact, ...]
    missing: tuple[str, ...]


def export_conversion(project: Project, progress: Progress, out: Path) -> Exported:
    """Every recipe of every target that is converted by a vendor's toolkit. InputError where there is none."""
    foreign = _foreign(project, progress, out)
    if foreign is not None:
        return foreign
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    entries, lines = [], []
    for target in _converted(project):
        member: Any = targets.get(target.family)
        for recipe in _offers(project, target, loaded, datasets, progress):
            progress.stage("build", f"{recipe.name} for {target.name}, as files")
            name = f"{target.name}/{recipe.name}"
            calibration = calibration_of(datasets, recipe)
            commands = member.export_conversion(loaded.models, loaded.task, recipe, calibration, out / name)
            entries.append({"target": target.name, "recipe": recipe.name, "key": _key(loaded, datasets, recipe)})
            lines += [f"run {shlex.quote(name)} {command}" for command in commands]
    return _finish(project, out, entries, lines)


def _foreign(project: Project, progress: Progress, out: Path) -> Exported | None:
    """The conversion of a file that only the vendor's converter reads; None where a source of ours does."""
    entries, lines = [], []
    for target in _converted(project):
        write = getattr(targets.get(target.family), "export_foreign", None)
        spec = project.model_spec()
        facts = asyncio.run(_facts(project, target, progress)) if write else None
        written = write(spec, facts, target.settings, out / target.name) if write else None
        if written is None:
            return None
        for recipe, commands in written.items():
            name = f"{target.name}/{recipe}"
            entries.append({"target": target.name, "recipe": recipe, "key": ""})
            lines += [f"run {shlex.quote(name)} {command}" for command in commands]
    progress.note("This model cannot run here: it is converted, and neither quantised nor checked.")
    return _finish(project, out, entries, lines)


def _finish(project: Project, out: Path, entries: Sequence[Mapping[str, str]], lines: Sequence[str]) -> Exported:
    text = json.dumps({"format": 1, "project": project.name, "conversions": entries}, indent=1)
    (out / INDEX).write_text(text + "\n", encoding="utf-8")
    member: Any = targets.get(_converted(project)[0].family)
    member.write_handover(out, project.name, lines)
    return Exported(str(out), tuple(f"{e['target']}/{e['recipe']}" for e in entries), tuple(lines))


def import_conversion(project: Project, progress: Progress, folder: Path) -> Imported:
    """The folder's results as this project's builds. InputError where it was written for another model, other data
    or another configuration, or holds no result at all."""
    listed = _index(folder)
    loaded = load(project, progress)
    datasets = data(project, loaded, progress)
    artifacts, missing = [], []
    for target in _converted(project):
        member: Any = targets.get(target.family)
        for recipe in _offers(project, target, loaded, datasets, progress):
            name = f"{target.name}/{recipe.name}"
            if name not in listed:
                continue
            if listed[name] != _key(loaded, datasets, recipe):
                raise InputError(
                    f"{folder} holds {name} of another model, calibration or configuration.",
                    "Export it again with `edgewright export-code convert`, and convert that.",
                )
            place = folder / target.name / recipe.name
            if not member.is_converted(place):
                missing.append(name)
                continue
            take_in(project, loaded, datasets, recipe, partial(member.import_conversion, place, recipe))
            artifacts.append(build(project, loaded, datasets, recipe, progress))
    if not artifacts:
        raise InputError(f"{folder} holds no result.", f"Run `bash {folder}/convert.sh` where the toolkit is.")
    return Imported(tuple(artifacts), tuple(missing))


def _converted(project: Project) -> list[TargetConfig]:
    found = [t for t in project.config.targets if hasattr(targets.get(t.family), "export_conversion")]
    if not found:
        families = ", ".join(sorted({t.family for t in project.config.targets}))
        raise InputError(
            f"No target here is converted by a vendor's toolkit ({families}).", "Build it: `edgewright build`."
        )
    return [target for target in found if target.family == found[0].family]  # a folder is for one vendor's toolkit


def _offers(
    project: Project, target: TargetConfig, loaded: Loaded, datasets: Data, progress: Progress
) -> Sequence[Recipe]:
    """By the device's facts where it answers, else by the board that the configuration names."""
    facts = asyncio.run(_facts(project, target, progress))
    return offers_of(target, loaded, datasets, facts)


async def _facts(project: Project, target: TargetConfig, progress: Progress) -> Facts:
    try:
        link = await connect(project, target)
    except (DeviceError, ConfigError):
        return Facts(device=target.device, family=target.family)
    try:
        return await probe(project, target.family, link, progress)
    except DeviceError:
        return Facts(device=target.device, family=target.family)
    finally:
        await link.close()


def _key(loaded: Loaded, datasets: Data, recipe: Recipe) -> str:
    """What the conversion depends on, wherever it is done."""
    elsewhere = targets.get(recipe.family).handover_places  # type: ignore[attr-defined]
    chain = {name: value for name, value in recipe.toolchain.items() if name not in elsewhere}
    calibration = calibration_of(datasets, recipe)
    return digest_of(
        loaded.key, replace(recipe, toolchain=chain).build_key(), calibration.digest if calibration else ""
    )


def _index(folder: Path) -> dict[str, str]:
    path = folder / INDEX
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is over 16 MiB.", "Give a folder that `export-code convert` wrote.")
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return {f"{e['target']}/{e['recipe']}": str(e["key"]) for e in found["conversions"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is no exported conversion: {error}.", "Give a folder that `export-code convert` wrote."
        ) from None
