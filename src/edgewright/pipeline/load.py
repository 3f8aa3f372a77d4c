"""Load: from what the user has to ONNX graphs, the task as data, and the datasets."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright import sources, tasks
from edgewright.core.config import DataSource
from edgewright.core.errors import ConfigError, InputError
from edgewright.core.model import Model, ModelSpec, Role
from edgewright.core.profile import Finding
from edgewright.core.record import Record, digest_of
from edgewright.core.task import Dataset, TaskSpec
from edgewright.pipeline.find import source_for
from edgewright.pipeline.progress import Progress
from edgewright.pipeline.project import Project
from edgewright.store.cache import Store, code_version

MAIN: Role = "main"


@dataclass(frozen=True)
class Loaded(Record):
    """The model's graphs by role, its task, and the digest that later stages depend on."""

    source: str
    models: Mapping[Role, Model]
    task: TaskSpec
    key: str

    @property
    def main(self) -> Model:
        return self.models.get(MAIN) or next(iter(self.models.values()))


@dataclass(frozen=True)
class Data(Record):
    """Calibration (images of any kind, labels unused) and validation, disjoint; `health` is what the
    task's own check of the calibration set found."""

    calibration: Dataset | None
    validation: Dataset
    health: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def load(project: Project, progress: Progress) -> Loaded:
    """Reads the model through the first source that knows it, exports ONNX, fixes the task.

    InputError where no source reads it, UnsafeModelError where reading would run code unasked.
    """
    spec = project.model_spec()
    options = project.task_options()
    kind = _task_kind(project)
    key = digest_of(
        code_version("sources", "tasks"), spec, _content(spec, project.store), options, kind, _torch_version()
    )
    progress.stage("load", Path(spec.source).name)
    stored = project.store.get("load", key, Loaded)
    if stored and all(model.path.is_file() for model in stored.models.values()):
        return stored
    member = sources.get(spec.format) if spec.format else source_for(spec)
    loaded = member.load(spec)
    with project.store.making("load", key) as folder:
        written = member.to_onnx(loaded, spec.opset, folder)
    final = project.store.folder("load", key)
    models = {role: _moved(model, final) for role, model in written.items()}
    main = models.get(MAIN) or next(iter(models.values()))
    kind = kind or main.hints.kind or "tensors"
    task = tasks.get(kind).spec(main, options)
    return project.store.put("load", key, Loaded(loaded.source, models, task, key))


def data(project: Project, loaded: Loaded, progress: Progress) -> Data:
    """The datasets of the configuration. Where only one of the two is given, the other is taken out of
    it, so that they never share a sample; where none is, the `tensors` task makes its own inputs."""
    task = tasks.get(loaded.task.kind)
    config = project.config.data
    progress.stage("data", "reading the datasets")
    base = _prepare(project, progress)
    folder = project.store.root / "cache" / "data" / loaded.key[:40]
    folder.mkdir(parents=True, exist_ok=True)

    def read(source: DataSource | None) -> Dataset | None:
        if source is None:
            return None
        return task.dataset(project.data_source(source, base), loaded.task, loaded.main, folder)

    calibration, validation = read(config.calibration), read(config.validation)
    notes: list[str] = []
    if calibration is None and validation is None:
        if loaded.task.kind != "tensors":
            raise InputError(f"A {loaded.task.kind} task needs data, and none is given.", "Give `data:` or --data.")
        made = task.dataset(DataSource(path="generated"), loaded.task, loaded.main, folder)
        return Data(None, made, (), made.notes)
    if calibration is None or validation is None:
        whole = validation or calibration
        assert whole is not None
        calibration, validation = _split(whole)
        notes.append(
            f"Only one set of samples is given: {len(calibration.samples)} of them calibrate, "
            f"the other {len(validation.samples)} validate."
        )
    key = digest_of(code_version("tasks"), calibration.digest, validation.digest, loaded.key)
    health = project.store.get("health", key, _Health)
    if health is None:
        health = project.store.put("health", key, _Health(task.health(calibration, validation, loaded.task)))
    return Data(calibration, validation, health.findings, (*notes, *calibration.notes, *validation.notes))


@dataclass(frozen=True)
class _Health(Record):
    findings: tuple[Finding, ...]


def _task_kind(project: Project) -> str:
    """The task asked for; "" leaves it to the model's own hints, which count only where there is data."""
    kind = project.config.task.kind
    if kind != "auto":
        tasks.get(kind)
        return kind
    has_data = project.config.data.calibration or project.config.data.validation
    return "" if has_data else "tensors"


def _content(spec: ModelSpec, store: Store) -> list[str]:
    """Digests of everything the source will read."""
    files: list[Path] = []
    head = spec.source.rsplit(":", 1)[0] if ":" in spec.source else spec.source
    path = Path(head)
    if path.is_file():
        files.append(path)
        if path.suffix == ".onnx":
            files += sorted(p for p in path.parent.glob(f"{path.stem}*") if p.suffix in (".data", ".weight", ".bin"))
    elif ":" in spec.source:
        found = importlib.util.find_spec(head) if head.replace(".", "").isidentifier() else None
        files += [Path(found.origin)] if found and found.origin else []
    files += [spec.weights] if spec.weights and spec.weights.is_file() else []
    return store.file_digests(files)


def _moved(model: Model, folder: Path) -> Model:
    program = folder / model.program.name if model.program else None
    return dataclasses.replace(model, path=folder / model.path.name, program=program)


def _torch_version() -> str:
    """Without importing torch: an export with torch at hand also writes the PyTorch program."""
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _split(whole: Dataset) -> tuple[Dataset, Dataset]:
    """Half of the samples (at most 300) to calibrate, the rest to validate, chosen by a hash of their ids."""
    order = sorted(whole.samples, key=lambda s: hashlib.sha256(s.id.encode()).hexdigest())
    count = min(300, len(order) // 2)
    if count == 0:
        raise InputError(f"{whole.name} holds a single sample.", "Give at least two, better a hundred.")

    def part(name: str, chosen: set[str]) -> Dataset:
        samples = tuple(s for s in whole.samples if s.id in chosen)
        return Dataset(f"{whole.name} ({name})", samples, whole.labelled, digest_of(whole.digest, name), whole.notes)

    taken = {s.id for s in order[:count]}
    return part("calibration half", taken), part("validation half", {s.id for s in order[count:]})


def data_base(project: Project) -> Path:
    """Where relative paths of data start: the folder that `data.prepare` fills, or the configuration's."""
    config = project.config.data
    if not config.prepare:
        return project.base
    return project.path(config.folder) if config.folder else project.store.root / "data" / project.name


def _prepare(project: Project, progress: Progress) -> Path:
    """Runs `data.prepare` once for its folder; returns where relative data paths start."""
    config = project.config.data
    if not config.prepare:
        return data_base(project)
    file, _, function = config.prepare.rpartition(":")
    script = project.path(file)
    if not file or not script.is_file():
        raise ConfigError(f"data.prepare names no file: {config.prepare}.", "Write it as `file.py:function`.")
    folder = data_base(project)
    marker = folder / ".prepared"
    stamp = json.dumps([project.store.file_digest(script), function])
    if marker.is_file() and marker.read_text(encoding="utf-8") == stamp:
        return folder
    progress.stage("data", f"{script.name} fills {folder.name}")
    spec = importlib.util.spec_from_file_location(f"edgewright_prepare_{script.stem}", script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    make = getattr(module, function, None)
    if make is None:
        raise ConfigError(f"{script.name} has no function '{function}'.", "Mend data.prepare.")
    folder.mkdir(parents=True, exist_ok=True)
    make(folder)
    marker.write_text(stamp, encoding="utf-8")
    return folder
