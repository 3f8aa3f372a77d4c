"""The zip that `torch.save` writes since 1.6: one pickle and one file per storage, read without torch.

    <name>/data.pkl      the object, tensors as persistent ids ('storage', type, key, device, elements)
    <name>/data/<key>    the bytes of a storage, little-endian, not compressed
    <name>/byteorder     "little" or "big" (torch ≥ 2.1)
    <name>/code/…        only in TorchScript files

Sizes are checked before anything is read: entries are stored, not compressed, and cannot add up to more than the file.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError, UnsafeModelError
from edgewright.sources.yolov5.inert_pickle import MAX_BYTES, Name, Thing, read_pickle

MAX_FILE_BYTES = 4 << 30
MAX_TENSORS = 50_000
MAX_DIMENSIONS = 16
_DAMAGED = "Copy or download the file again; it is cut off or damaged."
_RESAVE = "Save it again with torch 1.6 or later: torch.save(torch.load(old), new)."
_TYPES = {
    "Half": "<f2", "BFloat16": "bfloat16", "Float": "<f4", "Double": "<f8", "Byte": "u1", "Char": "i1",
    "Short": "<i2", "Int": "<i4", "Long": "<i8", "Bool": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """A file of the archive: its key, torch's type name, and its number of elements."""

    key: str
    kind: str
    elements: int

    @property
    def width(self) -> int:
        return 2 if self.kind == "BFloat16" else np.dtype(_TYPES[self.kind]).itemsize


class TensorArchive:
    """An open checkpoint: `root` is its object with tensors as records, `array(record)` reads one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = _open(path)
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        self._prefix = self._check()
        self._tensors = self._elements_read = 0
        self._size = path.stat().st_size
        self.root = read_pickle(self._read(f"{self._prefix}/data.pkl", MAX_BYTES), self._storage)

    def __enter__(self) -> TensorArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def array(self, tensor: Thing) -> NDArray[Any]:
        """The tensor as a numpy array of its own (bfloat16 as float32). InputError where the sizes do not fit."""
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise InputError(f"{self.path.name} holds over {MAX_TENSORS} tensors.", "Use a smaller model.")
        storage, offset, shape, strides = _geometry(tensor)
        count = math.prod(shape)
        if count == 0:
            return np.zeros(shape, np.float32)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        self._elements_read += count
        if count > storage.elements or last >= storage.elements or self._elements_read > self._size:
            raise InputError(f"A tensor in {self.path.name} reaches outside its storage.", _DAMAGED)
        data = self._read(f"{self._prefix}/data/{storage.key}", storage.elements * storage.width)
        if len(data) != storage.elements * storage.width:
            raise InputError(
                f"Storage {storage.key} in {self.path.name} has {len(data)} bytes too few or many.", _DAMAGED
            )
        flat = _elements(data, storage.kind)
        view = np.lib.stride_tricks.as_strided(flat[offset:], shape, tuple(s * flat.itemsize for s in strides))
        return np.array(view)

    def _storage(self, identity: Any) -> Storage:
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise InputError(f"{self.path.name} refers to its tensors in a way torch.save does not.", _DAMAGED)
        _, kind, key, _, elements = identity
        short = kind.dotted.removeprefix("torch.").removesuffix("Storage") if isinstance(kind, Name) else ""
        if short not in _TYPES or not isinstance(key, str) or not isinstance(elements, int):
            raise InputError(f"{self.path.name} holds a storage of an unknown type.", _DAMAGED)
        if f"{self._prefix}/data/{key}" not in self._entries or not 0 <= elements <= MAX_FILE_BYTES:
            raise InputError(f"Storage {key[:40]!r} is missing from {self.path.name}.", _DAMAGED)
        return Storage(key, short, elements)

    def _check(self) -> str:
        """The archive's inner folder; InputError for what is not a plain checkpoint."""
        names = self._entries
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if any(name.split("/", 1)[-1].startswith("code/") for name in names):
            raise InputError(
                f"{self.path.name} is a TorchScript program, not a checkpoint.",
                "Use `format: torch` and `trust: true` if you trust its author.",
            )
        if len(pickles) != 1:
            raise InputError(
                f"{self.path.name} is a zip archive without a torch checkpoint inside.",
                "Give the .pt file itself (for an exported program: .pt2 and `format: torch`).",
            )
        if len(names) != len(self._zip.infolist()) or any(e.compress_type for e in names.values()):
            raise InputError(f"{self.path.name} was packed again by something else than torch.save.", _RESAVE)
        if sum(entry.file_size for entry in names.values()) > self.path.stat().st_size:
            raise InputError(f"The files inside {self.path.name} claim to be larger than it.", _DAMAGED)
        prefix = pickles[0].split("/", 1)[0]
        if f"{prefix}/byteorder" in names and self._read(f"{prefix}/byteorder", 16) != b"little":
            raise InputError(
                f"{self.path.name} was saved on a big-endian machine.", "Save it again on another machine."
            )
        return prefix

    def _read(self, name: str, most: int) -> bytes:
        try:
            if self._entries[name].file_size > most:
                raise InputError(f"{name[:80]} in {self.path.name} is larger than it can be.", _DAMAGED)
            return self._zip.read(name)
        except _ZIP_ERRORS as error:
            raise InputError(f"{name[:80]} in {self.path.name} cannot be read.", _DAMAGED) from error


_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError,
    OverflowError, IndexError,
)  # fmt: skip


def _open(path: Path) -> zipfile.ZipFile:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path.name} is over {MAX_FILE_BYTES >> 30} GiB.", "Use a smaller model.")
    if not start.startswith(b"PK"):
        _refuse_other(path)
    try:
        return zipfile.ZipFile(path)
    except (*_ZIP_ERRORS, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} is not a whole torch checkpoint: its zip directory is missing.", _DAMAGED
        ) from error


def _refuse_other(path: Path) -> None:
    """A file from before torch 1.6, or none of torch's at all. A dangerous name in it is told first."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES)
    try:  # the old format is five pickles in a row: magic number, protocol, machine, object, storage keys
        read_pickle(data, lambda identity: None, count=5)
    except UnsafeModelError:
        raise
    except InputError:
        pass
    if data[:1] == b"\x80" or data[257:262] == b"ustar":
        raise InputError(f"{path.name} is in the format torch used before version 1.6.", _RESAVE)
    raise InputError(f"{path.name} is not a torch checkpoint.", "Give a .pt file that torch.save wrote.")


def _geometry(tensor: Thing) -> tuple[Storage, int, tuple[int, ...], tuple[int, ...]]:
    arguments = tensor.arguments if is_tensor(tensor) else ()
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise InputError("A tensor of this checkpoint is not written as torch.save writes it.", _DAMAGED)
    storage, offset, shape, strides = arguments[:4]
    numbers = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else (None,)
    whole = all(isinstance(n, int) and 0 <= n <= MAX_FILE_BYTES for n in numbers)
    if not whole or len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise InputError("A tensor of this checkpoint has an impossible shape.", _DAMAGED)
    return storage, offset, shape, strides


def is_tensor(value: Any) -> bool:
    return isinstance(value, Thing) and value.of.startswith("torch._utils._rebuild_tensor")


def _elements(data: bytes, kind: str) -> NDArray[Any]:
    if kind == "BFloat16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, _TYPES[kind])
