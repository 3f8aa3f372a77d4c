"""Tensors out of a request: `.npy`, `.npz` or JSON, checked against what the model takes before any
memory is given to them. No pickle is ever run.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

ARRAY_LIMIT = 256 << 20
"""Bytes of all arrays of one request."""
INPUTS_LIMIT = 256
JSON_VALUES = 1 << 20


class TensorError(ValueError):
    """A tensor that cannot be used: what is wrong and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super(TensorError, self).__init__(message)
        self.message, self.remedy = message, remedy


def from_npy(data: bytes) -> Array:
    """The array of a .npy file (numpy.lib.format, versions 1 to 3)."""
    return _read_array(io.BytesIO(data), len(data))


def from_npz(data: bytes) -> Dict[str, Array]:
    """The arrays of a .npz file by name."""
    found: Dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > INPUTS_LIMIT or sum(entry.file_size for entry in entries) > ARRAY_LIMIT:
                raise _bad("the .npz unpacks to over %d MiB or %d arrays" % (ARRAY_LIMIT >> 20, INPUTS_LIMIT))
            for entry in entries:
                with archive.open(entry) as member:
                    # What a member says of its size is not believed: only so much of it is read.
                    content = member.read(entry.file_size)
                found[entry.filename[:-4] if entry.filename.endswith(".npy") else entry.filename] = from_npy(content)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        if isinstance(error, TensorError):
            raise
        raise _bad("the .npz cannot be read") from None
    if not found:
        raise _bad("the .npz holds no array")
    return found


def from_json(data: bytes) -> Dict[str, Array]:
    """{"inputs": {name: nested lists}} as arrays. The dtype comes from `fit`."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON") from None
    inputs = value.get("inputs") if isinstance(value, dict) else None
    if not isinstance(inputs, dict) or not 0 < len(inputs) <= INPUTS_LIMIT:
        raise _bad('the JSON has no "inputs" by name')
    return {str(name): _from_lists(str(name), numbers) for name, numbers in inputs.items()}


def fit(arrays: Mapping[str, Array], ports: Sequence[Mapping[str, Any]]) -> Dict[str, Array]:
    """The arrays by role, in the dtypes of the model's inputs. TensorError names what does not fit."""
    by_name = {port["name"]: port["role"] for port in ports}
    given = {by_name.get(name, name): array for name, array in arrays.items()}
    if len(ports) == 1 and len(given) == 1 and not set(given) & {ports[0]["role"]}:
        given = {ports[0]["role"]: next(iter(given.values()))}
    wanted = {port["role"]: port for port in ports}
    if set(given) != set(wanted):
        raise _bad("the inputs are %s, not %s" % (_listed(given), _listed(wanted)))
    return {role: _fit_one(role, array, wanted[role]) for role, array in given.items()}


def pixels(array: Array) -> Array:
    """`array` if it is an image of uint8 [H, W, 3] RGB of at most 100 megapixels."""
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise _bad("an image tensor is uint8 [height, width, 3], and this is %s %s" % (array.dtype, list(array.shape)))
    if array.shape[0] * array.shape[1] > 100_000_000:
        raise _bad("the image is over 100 megapixels")
    return np.ascontiguousarray(array)


def to_npz(arrays: Mapping[str, Array]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **dict(arrays))  # type: ignore[arg-type]
    return out.getvalue()


def to_json(arrays: Mapping[str, Array]) -> Dict[str, Any]:
    """{name: {"dtype", "shape", "data"}}, data as nested lists; what JSON cannot say (NaN, infinity) is null.
    TensorError above JSON_VALUES values together."""
    if sum(array.size for array in arrays.values()) > JSON_VALUES:
        raise TensorError("The outputs are too large for JSON.", "Ask with the header Accept: application/x-npz.")
    found = {}
    for name, array in arrays.items():
        said = array
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            said = array.astype(object)
            said[~np.isfinite(array)] = None
        found[name] = {"dtype": str(array.dtype), "shape": list(array.shape), "data": said.tolist()}
    return found


def _read_array(file: io.BytesIO, size: int) -> Array:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception:  # numpy parses the header as Python and raises what its parsers raise
        raise _bad("the body is not a .npy array") from None
    wanted = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or dtype.kind not in "biuf" or any(n < 0 for n in shape):
        raise _bad("an array of %s is not taken" % dtype)
    if wanted != size - file.tell() or wanted > ARRAY_LIMIT:
        raise _bad("the array says it has %d bytes, and %d are there" % (wanted, size - file.tell()))
    flat = np.frombuffer(file.read(), dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _from_lists(name: str, numbers: Any) -> Array:
    try:
        array = np.array(numbers)
    except (ValueError, OverflowError, RecursionError):
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise _bad("the input '%s' is not an array of numbers" % name[:100])
    return array


def _fit_one(role: str, array: Array, port: Mapping[str, Any]) -> Array:
    dtype = np.dtype(port["dtype"])
    if array.dtype.kind == "f" and dtype.kind in "iub":
        raise _bad("the input '%s' takes %s, and these are fractions" % (role, dtype))
    shape: List[Any] = list(port["shape"])
    shown = [n if isinstance(n, int) and n >= 0 else "any" for n in shape]
    same = len(shape) == array.ndim and all(n in ("any", m) for n, m in zip(shown, array.shape))
    if not same or 0 in array.shape:
        raise _bad("the input '%s' is %s, and %s is given" % (role, shown, list(array.shape)))
    return np.ascontiguousarray(array, dtype=dtype)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(name)[:60]) for name in sorted(names)[:8]) or "none"


def _bad(reason: str) -> TensorError:
    return TensorError("The tensor cannot be used: %s." % reason, "See / for what this service takes.")
