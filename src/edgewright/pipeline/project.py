"""Project: a checked configuration, where its relative paths start, and the store it works in.

`open_project` accepts what a user has in hand: a configuration, a model file (then the rest is
defaults and options), or the eight-key `config.json` of older pipelines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core import config as configuration
from edgewright.core.config import Config, DataSource
from edgewright.core.errors import InputError
from edgewright.core.model import ModelSpec
from edgewright.store.cache import Store, default_root


@dataclass(frozen=True)
class Project:
    """`name` names the run folder and the service; `notes` are sentences about how it was opened."""

    config: Config
    base: Path
    store: Store
    name: str
    notes: tuple[str, ...] = ()

    def path(self, text: str) -> Path:
        """A path of the configuration, made absolute."""
        return (self.base / Path(text).expanduser()).absolute()

    def model_spec(self) -> ModelSpec:
        model = self.config.model
        return ModelSpec(
            source=_source(model.source, self.base),
            format=model.format,
            inputs=model.inputs,
            weights=Path(_source(model.weights, self.base)) if model.weights else None,
            labels=tuple(self.config.task.labels) if isinstance(self.config.task.labels, list) else (),
            opset=model.opset,
            trust=model.trust,
        )

    def data_source(self, source: DataSource, base: Path) -> DataSource:
        """The source with its paths made absolute; `base` is where relative ones start."""
        update: dict[str, Any] = {}
        if source.path != "generated":
            update["path"] = str((base / Path(source.path).expanduser()).absolute())
        if source.labels and source.labels != "none":
            update["labels"] = str((base / Path(source.labels).expanduser()).absolute())
        return source.model_copy(update=update)

    def task_options(self) -> Mapping[str, Any]:
        """The `task:` section for Task.spec, its labels file made absolute."""
        options = self.config.task.model_dump()
        if isinstance(options["labels"], str):
            options["labels"] = str(self.path(options["labels"]))
        return options


def open_project(
    what: str,
    *,
    data: str | None = None,
    device: str | None = None,
    target: str | None = None,
    home: Path | None = None,
) -> Project:
    """A Project from a .yaml/.yml configuration, an eight-key .json, or a model with its defaults.

    `data` and `device` go with a model file: `data` is a data.yaml, or a folder of images (then taken
    as unlabelled); `target` keeps only the target of that name or, with a model, names the family.
    InputError where there is no such file, or no source reads it as a model.
    """
    from edgewright.pipeline.find import must_exist, source_for

    store = Store(home or default_root())
    path = Path(what).expanduser()
    must_exist(what)
    if path.suffix in (".yaml", ".yml"):
        _refuse_fleet(path)
        notes: tuple[str, ...] = ()
        config, base = configuration.read(path), path.absolute().parent
    elif path.suffix == ".json":
        config, base, notes = _classic(path)
    else:
        config, base, notes = _from_model(what, data, device, target)
        project = Project(config, base, store, _name(what), notes)
        source_for(project.model_spec())  # a mistyped path must not mean this machine's own service
        return project
    if data or device:
        raise InputError(
            "--data and --device go with a model file, not with a configuration.", f"Write them in {path}."
        )
    if target:
        config = _only(config, target)
    return Project(config, base, store, _name(str(path)), notes)


def _refuse_fleet(path: Path) -> None:
    from edgewright.pipeline.fleet.config import is_fleet

    if is_fleet(path):
        raise InputError(
            f"{path} is a fleet's file, and this is done with one project.",
            "Name the project that it releases; deploy, status, rollback, logs and exec-golden take fleets.",
        )


def _from_model(
    what: str, data: str | None, device: str | None, family: str | None
) -> tuple[Config, Path, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    sections: dict[str, Any] = {"model": {"source": what}}
    if data:
        sections["data"], notes = _data_of(Path(data).expanduser())
    target: dict[str, Any] = {"name": "local"}
    if device:
        target["device"] = device
    if family:
        target["family"] = family
    sections["targets"] = [target]
    return configuration.parse(sections, "the command line"), Path.cwd(), notes


def _data_of(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    if not path.exists():
        raise InputError(f"There is no data at {path}.", "Give --data a data.yaml or a folder of images.")
    absolute = str(path.absolute())
    if path.suffix in (".yaml", ".yml"):
        return {
            "calibration": {"path": absolute, "split": "train"},
            "validation": {"path": absolute, "split": "val"},
        }, ()
    note = f"{path} is taken as images without labels (give a data.yaml, or `data:` in a configuration, to use labels)."
    return {"validation": {"path": absolute, "labels": "none"}}, (note,)


def _classic(path: Path) -> tuple[Config, Path, tuple[str, ...]]:
    from edgewright.core import classic

    data, notes = classic.read(path)
    return configuration.parse(data, str(path)), path.absolute().parent, tuple(notes)


def _only(config: Config, target: str) -> Config:
    from edgewright.core.plugs import did_you_mean

    kept = [t for t in config.targets if t.name == target]
    if not kept:
        names = tuple(t.name for t in config.targets)
        raise InputError(f"The configuration has no target '{target}'.", did_you_mean(target, names))
    return config.model_copy(update={"targets": kept})


def _source(text: str, base: Path) -> str:
    """A file's path made absolute. `package://name/file` is a file inside an installed package;
    `module:factory` and null models stay as written."""
    if text.startswith("package://"):
        return str(_packaged(text))
    factory = re.fullmatch(r"(.+):([A-Za-z_][\w.]*)", text)
    if factory:
        module = factory.group(1)
        return f"{(base / module).absolute()}:{factory.group(2)}" if module.endswith(".py") else text
    return text if text.startswith("null") else str((base / Path(text).expanduser()).absolute())


def _packaged(text: str) -> Path:
    from importlib.util import find_spec

    package, _, inside = text.removeprefix("package://").partition("/")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"The package {package} of {text} is not installed.", f"Install it: pip install {package.replace('_', '-')}"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    path = (folder / inside).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{text} leaves its package.", "Name a file inside the package.")
    return path


def _name(text: str) -> str:
    """A run's name: the file's own, or its folder's where the file has the name that every project's has."""
    path = Path(text).absolute()
    text = path.parent.name if path.stem == "edgewright" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"
