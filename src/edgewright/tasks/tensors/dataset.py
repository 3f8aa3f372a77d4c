"""Samples for any model: a folder of .npz (one array per input) or .npy files (models of one input), or generated."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.model import Model, TensorSpec
from edgewright.core.plugs import did_you_mean
from edgewright.core.record import digest_of
from edgewright.core.task import Dataset, Sample
from edgewright.device.tensor_files import TensorError, write
from edgewright.tasks.contents import contents
from edgewright.tasks.image_files import names_of, representative
from edgewright.tasks.tensors.generated import COUNT, generate

GENERATED = "generated"
SUFFIXES = (".npz", ".npy")

Header = tuple[tuple[int, ...], np.dtype[Any]]


def read_dataset(where: DataSource | None, model: Model, folder: Path) -> Dataset:
    """The Dataset at `where`; generated where that is None or its path is "generated". Never labelled:
    the truth of `tensors` is what the float model itself gives. Raises InputError."""
    if where is None or where.path == GENERATED:
        return _generated(model, folder, (where.count if where else None) or COUNT, where.seed if where else 0)
    files = _files(Path(where.path))
    names = names_of(files)
    chosen = representative(where.count, where.seed, [()] * len(files))
    for k in chosen:
        _check(files[k], model)
    known = contents([files[k] for k in chosen], folder, images=False)
    samples = tuple(Sample(names[k], files[k]) for k in chosen)
    digest = digest_of([(s.id, known[s.path].sha256) for s in samples])
    return Dataset(Path(where.path).name, samples, False, digest)


def _generated(model: Model, folder: Path, count: int, seed: int) -> Dataset:
    """Written once into `folder`/generated/…; named by what they depend on, so that they are found again."""
    key = digest_of(model.digest, [s.to_json() for s in model.inputs], seed)[:16]
    home = folder / GENERATED / key
    home.mkdir(parents=True, exist_ok=True)
    samples, digests = [], []
    for k in range(count):
        path = home / f"{k:05d}.npz"
        if not path.is_file():
            write(str(path), generate(model, seed * 1_000_003 + k))
        samples.append(Sample(path.stem, path))
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    note = (
        f"No samples were given: {count} inputs are generated. They show that the artefact computes what the "
        "float model does, not how it fares on real data, and are never used to calibrate."
    )
    return Dataset(GENERATED, tuple(samples), False, digest_of(GENERATED, digests), (note,))


def _files(path: Path) -> list[Path]:
    if path.is_file() and path.suffix in SUFFIXES:
        return [path]
    if not path.is_dir():
        raise InputError(f"There are no tensors at {path}.", "Give a folder of .npz or .npy files.")
    found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
    if not found:
        raise InputError(f"{path} holds no .npz or .npy files.", "Write one .npz per sample, an array per input.")
    return found


def _check(path: Path, model: Model) -> None:
    """InputError where the arrays of a file are not what the model takes; only their headers are read."""
    found = _headers(path)
    wanted = {spec.name: spec for spec in model.inputs}
    if path.suffix == ".npy" or (len(found) == len(wanted) == 1):
        found = {next(iter(wanted)): header for header in found.values()} if len(wanted) == 1 else found
    for name, spec in wanted.items():
        if name not in found:
            raise InputError(f"{path} has no array '{name}'.", did_you_mean(name, tuple(found)))
        shape, dtype = found[name]
        if not _fits(shape, spec):
            said, asked = "×".join(map(str, shape)), "×".join(map(str, spec.shape))
            raise InputError(f"{path}: '{name}' is {said}, but the model takes {asked}.", "Give samples of that shape.")
        if (dtype.kind == "f") != (np.dtype(spec.dtype).kind == "f"):
            raise InputError(f"{path}: '{name}' is {dtype}, but the model takes {spec.dtype}.", "Convert the arrays.")


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    return len(shape) == len(spec.shape) and all(
        not isinstance(asked, int) or asked == size for size, asked in zip(shape, spec.shape, strict=True)
    )


def _headers(path: Path) -> dict[str, Header]:
    """Shape and dtype of each array of a file. InputError where it is no such file."""
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return {"input": _header(file)}
        with zipfile.ZipFile(path) as archive:
            found = {}
            for name in archive.namelist():
                with archive.open(name) as member:
                    found[name.removesuffix(".npy")] = _header(member)
            return found
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, SyntaxError, TensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as arrays: {reason}.", "Write it with numpy.savez.") from None


def _header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, dtype
