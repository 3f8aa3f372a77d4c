"""Images with boxes, from whichever form they come in, as one Dataset.

Only the images that are chosen are read: a calibration set of 300 out of a hundred thousand costs 300.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.record import digest_of
from edgewright.core.task import Dataset, Sample, TaskSpec
from edgewright.tasks.contents import Content, contents
from edgewright.tasks.detection.coco_json import CocoImage, read_coco
from edgewright.tasks.detection.data_yaml import images_of_split
from edgewright.tasks.detection.yolo_labels import Row, label_file, read_rows, to_pixels
from edgewright.tasks.image_files import image_files, names_of, representative


@dataclass(frozen=True)
class _Listed:
    """What a source of data says before any image is read. `rows` is None where nothing is labelled."""

    name: str
    paths: list[Path]
    rows: list[tuple[Row, ...]] | list[tuple[tuple[float, ...], ...]] | None
    sizes: list[tuple[int, int]] | None = None
    notes: tuple[str, ...] = ()


def read_dataset(where: DataSource, spec: TaskSpec, folder: Path) -> Dataset:
    """The Dataset at `where`; `folder` keeps what is remembered of the files. Raises InputError."""
    listed = _listed(where, len(spec.labels), spec.labels)
    chosen = representative(
        where.count, where.seed, [[int(r[0]) for r in rows] for rows in listed.rows or [()] * len(listed.paths)]
    )
    paths = [listed.paths[k] for k in chosen]
    known = contents(paths, folder, images=True)
    names = names_of(listed.paths)
    samples = tuple(
        Sample(names[k], path, _truth(listed, k, known[path])) for k, path in zip(chosen, paths, strict=True)
    )
    digest = digest_of([(s.id, known[s.path].sha256, s.truth) for s in samples])
    return Dataset(listed.name, samples, listed.rows is not None, digest, listed.notes)


def _listed(where: DataSource, classes: int, labels: Sequence[str]) -> _Listed:
    path = Path(where.path)
    asked = Path(where.labels) if where.labels and where.labels != "none" else None
    if path.suffix == ".json" or (asked is not None and asked.suffix == ".json"):
        return _from_coco(path, asked, labels, where.labels == "none")
    if path.suffix in (".yaml", ".yml"):
        files, root, split = images_of_split(path, where.split, classes if where.labels != "none" else None)
        name = f"{path.name} ({split})"
    else:
        files, root, name = image_files(path), path if path.is_dir() else path.parent, path.name
    if where.labels == "none":
        return _Listed(name, files, None)
    return _with_yolo_labels(name, files, root, asked, classes)


def _with_yolo_labels(name: str, files: list[Path], root: Path, asked: Path | None, classes: int) -> _Listed:
    if asked is not None and not asked.is_dir():
        raise InputError(f"There is no labels folder {asked}.", "Mend `labels`, or leave it out.")
    found = [label_file(image, asked, root) for image in files]
    there = [file.is_file() for file in found]
    if not any(there):
        if asked is not None:
            raise InputError(
                f"{asked} holds no labels for the images of {name}.", "A label file is named as its image."
            )
        return _Listed(name, files, None, notes=(f"{name} has no labels.",))
    rows = [read_rows(file, classes) if is_there else () for file, is_there in zip(found, there, strict=True)]
    missing = len(files) - sum(there)
    notes = (f"{missing} of {len(files)} images of {name} have no label file: taken as empty.",) if missing else ()
    return _Listed(name, files, rows, notes=notes)


def _from_coco(path: Path, asked: Path | None, labels: Sequence[str], unlabelled: bool) -> _Listed:
    """Annotations at `path`, or `asked` with the images at `path`."""
    file, folder = (path, asked) if path.suffix == ".json" else (asked or path, path)
    if not file.is_file():
        raise InputError(f"There is no annotation file {file}.", "Check the path.")
    images: list[CocoImage] = read_coco(file, labels, folder)
    if not images:
        raise InputError(f"{file} names no images.", "Give annotations of at least one image.")
    rows = None if unlabelled else [image.rows for image in images]
    return _Listed(file.name, [i.path for i in images], rows, [(i.width, i.height) for i in images])


def _truth(listed: _Listed, index: int, content: Content) -> list[list[float]] | None:
    """The rows of one image in its own pixels, boxes without area left out."""
    if listed.rows is None:
        return None
    if listed.sizes is not None:
        said, real = listed.sizes[index], (content.width, content.height)
        if all(said) and said not in (real, real[::-1]):
            raise InputError(
                f"{listed.paths[index]} is {real[0]}×{real[1]} pixels, but its annotation says {said[0]}×{said[1]}.",
                "Use the images that were annotated.",
            )
        rows = [[int(r[0]), *(round(v, 3) for v in r[1:5]), *([1] if len(r) > 5 else [])] for r in listed.rows[index]]
    else:
        rows = [to_pixels(row, content.width, content.height) for row in listed.rows[index]]  # type: ignore[arg-type]
    return [row for row in rows if row[3] > row[1] and row[4] > row[2]]
