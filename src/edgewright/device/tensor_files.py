"""Samples that are tensor files: `.npz` files with one array per input, `.npy` files with the only one.

Files come from outside: pickled objects are refused, and so is an archive that would unpack to more
than 2 GiB.
"""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any, Dict, Mapping

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MAX_BYTES = 2 << 30
SHOWN = 64
"""Values of an output that its summary carries."""
DEFAULT = "input"
"""The name of the array of a `.npy` file; it goes to a model's only input."""


class TensorError(ValueError):
    """A tensor file that cannot be used: `message` and `remedy`."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def read(path: str) -> Dict[str, Array]:
    """The arrays of a .npz (by their names) or .npy file (named "input"). Raises TensorError."""
    try:
        if path.endswith(".npy"):
            if os.path.getsize(path) > MAX_BYTES:
                raise TensorError(f"{path} is over 2 GiB.", "Give smaller samples.")
            return {DEFAULT: np.load(path, allow_pickle=False)}
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise TensorError(f"{path} would unpack to over 2 GiB.", "Give smaller samples.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except TensorError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TensorError(
            f"{path} cannot be read as arrays: {reason}.", "Write it with numpy.savez or numpy.save, without objects."
        ) from None


def write(path: str, arrays: Mapping[str, Array]) -> None:
    """Writes a .npz whole: to a file beside it first, then renamed."""
    part = path + ".part.npz"
    np.savez(part, **dict(arrays))  # type: ignore[arg-type]
    os.replace(part, path)


def summary(array: Array) -> Dict[str, Any]:
    """An output as JSON: its shape and dtype, mean, deviation and extremes of its finite values, and the
    first 64 values (all of them, where there are no more)."""
    flat = np.asarray(array).reshape(-1)
    numbers = flat.astype(np.float64)
    fine = numbers[np.isfinite(numbers)]
    told = {"mean": fine.mean(), "std": fine.std(), "min": fine.min(), "max": fine.max()} if len(fine) else {}
    first = [round(v, 6) if np.isfinite(v) else None for v in numbers[:SHOWN].tolist()]
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "values": first,
        **{name: round(float(value), 6) for name, value in told.items()},
    }
