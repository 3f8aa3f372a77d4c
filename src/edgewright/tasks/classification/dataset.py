"""Images with one class each: a folder per class, or a CSV of paths and labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.record import digest_of
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.tasks.class_names import read_text
from edgewright.tasks.contents import contents
from edgewright.tasks.image_files import image_files, names_of, representative


def read_dataset(where: DataSource, spec: TaskSpec, folder: Path) -> Dataset:
    """The Dataset at `where`; `folder` keeps what is remembered of the files. A truth is a class number.

    InputError for empty data, a class that the model does not have, an image that cannot be read.
    """
    path = Path(where.path)
    truths: Sequence[int | None]
    if path.is_dir() and where.split and (path / where.split).is_dir():
        path = path / where.split
    if where.labels and where.labels != "none":
        paths, truths = _from_csv(Path(where.labels), spec.labels, path)
    elif path.suffix == ".csv":
        paths, truths = _from_csv(path, spec.labels, path.parent)
    else:
        paths = image_files(path)
        truths = [None] * len(paths) if where.labels == "none" else _by_folder(path, paths, spec.labels)
    if where.labels == "none":
        truths = [None] * len(paths)
    chosen = representative(where.count, where.seed, [() if t is None else (t,) for t in truths])
    known = contents([paths[k] for k in chosen], folder, images=True)
    names = names_of(paths)
    samples = tuple(Sample(names[k], paths[k], truths[k]) for k in chosen)
    digest = digest_of([(s.id, known[s.path].sha256, s.truth) for s in samples])
    labelled = all(truth is not None for truth in truths)
    notes = () if labelled or where.labels == "none" else (f"{path.name} has no labels.",)
    return Dataset(path.name, samples, labelled, digest, notes)


def _by_folder(root: Path, paths: Sequence[Path], labels: Sequence[str]) -> list[int | None]:
    """The class of each image by the folder under `root` that it is in; None for all where images lie
    in `root` itself. Folders are named as the labels or numbered; otherwise sorted folders are taken
    for the classes in order, if they are as many."""
    if not root.is_dir() or any(path.parent == root for path in paths):
        return [None] * len(paths)
    names = [path.relative_to(root).parts[0] for path in paths]
    folders = sorted(set(names))
    index = {name: k for k, name in enumerate(labels)}
    if not all(name in index for name in folders):
        if all(name.isdecimal() and int(name) < len(labels) for name in folders):
            index = {name: int(name) for name in folders}
        elif len(folders) == len(labels) and not set(folders) & set(labels):
            index = {name: k for k, name in enumerate(folders)}
        else:
            strange = next(name for name in folders if name not in index)
            raise InputError(
                f"{root} has a folder '{strange}', which is none of the model's {len(labels)} classes.",
                "Name the folders as the classes, or give `task.labels`.",
            )
    return [index[name] for name in names]


def _from_csv(path: Path, labels: Sequence[str], root: Path) -> tuple[list[Path], list[int]]:
    """Rows `path,label`, with or without a header; a label is a name or a number, a path relative to `root`."""
    index = {name: k for k, name in enumerate(labels)}
    files: list[Path] = []
    truths: list[int] = []
    for number, row in enumerate(csv.reader(io.StringIO(read_text(path))), start=1):
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and not (root / fields[0]).is_file()):
            continue  # an empty line, or the header
        if len(fields) < 2:
            raise InputError(f"{path}:{number}: {len(fields)} column where two are wanted.", "A row is `path,label`.")
        file, label = root / fields[0], fields[1]
        if not file.is_file():
            raise InputError(f"{path}:{number}: there is no file {file}.", "Paths are relative to the .csv.")
        if label in index:
            truths.append(index[label])
        elif label.isdecimal() and int(label) < len(labels):
            truths.append(int(label))
        else:
            raise InputError(
                f"{path}:{number}: '{label}' is none of the model's {len(labels)} classes.",
                "Use the classes' names or numbers, or give `task.labels`.",
            )
        files.append(file)
    if not files:
        raise InputError(f"{path} names no images.", "A row is `path,label`.")
    return files, truths
