"""op_summary_*.csv of msprof: what ran on the device, one row a task, columns by name.

Columns come and go between versions (`Task Start Time` or `Task Start Time(us)`), time cells may end with a TAB, shapes
hold literal quotes (`"1,3,224,224;64,3,7,7"`), what is not known is `N/A`, and a byte-order mark may lead.
"""

from __future__ import annotations

import csv
import os
import re
from decimal import Decimal
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from edgewright.device.service import ServiceError

MAX_BYTES, MAX_ROWS, MAX_CELL = 256 << 20, 1 << 20, 1 << 20
_START = ("Task Start Time(us)", "Task Start Time")
_DURATION = ("Task Duration(us)", "Task Duration")
_NUMBER = re.compile(r"^-?[0-9]{1,20}(\.[0-9]{0,20})?$")
_PRECISIONS = {
    "FLOAT": "fp32", "FLOAT16": "fp16", "BF16": "bf16", "BFLOAT16": "bf16", "DT_BF16": "bf16", "INT8": "int8",
    "UINT8": "int8", "INT4": "int4", "DOUBLE": "fp64", "INT32": "int32", "INT64": "int64", "BOOL": "bool",
}  # fmt: skip
CONVERSIONS = {
    "TransData", "TransDataRNN", "Transpose", "TransposeD", "Cast", "Reshape", "Identity", "MemcpyAsync", "MemSet",
    "Data", "NetOutput", "Const", "Aipp", "AscendQuant", "AscendDequant", "AscendRequant", "AscendAntiQuant",
}  # fmt: skip
"""Operator types that only move data or convert it: they compute in no precision of their own."""


class Row(object):
    """One executed task. Times are microseconds, the start with all its digits (a float has room for quarters only);
    shapes by tensor; `input_dtypes` as the vendor names them."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.name, self.type = _text(cells.get("Op Name")), _text(cells.get("OP Type"))
        self.model, self.core = _text(cells.get("Model ID")), _text(cells.get("Task Type"))
        self.start = _first(cells, _START)
        self.duration = float(_first(cells, _DURATION) or 0)
        self.input_dtypes = _list(cells.get("Input Data Types"))
        self.inputs, self.outputs = _shapes(cells.get("Input Shapes")), _shapes(cells.get("Output Shapes"))

    @property
    def computes(self) -> bool:
        return self.type not in CONVERSIONS

    @property
    def dtype(self) -> str:
        """The precision it computed in: that of its first input; "" where the table does not tell."""
        return _PRECISIONS.get(self.input_dtypes[0], self.input_dtypes[0].lower()) if self.input_dtypes else ""


def read(paths: Sequence[str]) -> List[Row]:
    """The tasks of these files, by start. Raises ServiceError where a file is none of these, or too large."""
    rows: List[Row] = []
    for path in paths:
        if os.path.getsize(path) > MAX_BYTES:
            raise ServiceError("%s is larger than %d MiB." % (path, MAX_BYTES >> 20), "Profile fewer iterations.")
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            rows += _rows(file, path, MAX_ROWS - len(rows))
    return sorted(rows, key=lambda row: row.start or 0)


def _rows(lines: Iterable[str], path: str, most: int) -> List[Row]:
    before = csv.field_size_limit(MAX_CELL)
    try:
        reader = csv.reader(lines)
        header = [name.strip() for name in next(reader, [])]
        if "Op Name" not in header or not set(_DURATION) & set(header):
            raise ServiceError(
                "%s has no columns Op Name and Task Duration(us)." % path, "Give an op_summary of msprof."
            )
        found: List[Row] = []
        for cells in reader:
            if len(found) >= most:
                raise ServiceError("%s has more than %d rows." % (path, MAX_ROWS), "Profile fewer iterations.")
            if len(cells) == len(header):  # a line that was cut says nothing
                found.append(Row(dict(zip(header, cells))))
        return found
    except csv.Error as error:
        raise ServiceError("%s is no CSV file: %s." % (path, error), "Export the profile again.") from None
    finally:
        csv.field_size_limit(before)


def precisions(rows: Sequence[Row]) -> Dict[str, Any]:
    """{"precisions": {dtype: share of the time of what computes}, "ops": {dtype: operators}}, conversions left out, and
    what the table tells no type of."""
    times: Dict[str, float] = {}
    names: Dict[str, Set[str]] = {}
    for row in rows:
        if row.computes and row.dtype:
            times[row.dtype] = times.get(row.dtype, 0.0) + row.duration
            names.setdefault(row.dtype, set()).add(row.name)
    total = sum(times.values())
    shares = {dtype: time / total for dtype, time in times.items()} if total > 0 else {}
    return {"precisions": shares, "ops": {dtype: len(found) for dtype, found in names.items()}}


def operators(rows: Sequence[Row], iterations: int) -> List[Dict[str, Any]]:
    """core.profile.Operator as JSON, in order of first execution; times per inference."""
    found: Dict[Tuple[str, str], Dict[str, Any]] = {}
    for row in rows:
        operator = found.get((row.name, row.type))
        if operator is None:
            operator = found[row.name, row.type] = {
                "name": row.name, "type": row.type, "duration_us": 0.0, "calls": 0, "inputs": row.inputs,
                "outputs": row.outputs, "dtype": row.dtype, "kernel": row.core,
            }  # fmt: skip
        operator["duration_us"] += row.duration / iterations
        operator["calls"] += 1
    for operator in found.values():
        operator["calls"] = max(1, round(operator["calls"] / iterations))
    return list(found.values())


def one_inference(rows: Sequence[Row], iterations: int) -> List[Row]:
    """The rows of one run, the fullest near the middle; none where runs cannot be told apart, or nothing has a start.

    A run ends where a name comes again: tasks too short to be timed may be missing from some runs.
    """
    runs: List[List[Row]] = []
    seen: Set[str] = set()
    for row in rows:
        if not runs or row.name in seen:
            runs.append([])
            seen.clear()
        runs[-1].append(row)
        seen.add(row.name)
    if len(runs) != iterations or any(row.start is None for row in rows):
        return []
    return max(enumerate(runs), key=lambda pair: (len(pair[1]), -abs(pair[0] - iterations // 2)))[1]


def _text(cell: Optional[str]) -> str:
    words = (cell or "").strip().strip('"').strip()
    return "" if words == "N/A" else words


def _first(cells: Mapping[str, str], names: Sequence[str]) -> Optional[Decimal]:
    for name in names:
        words = _text(cells.get(name))
        if _NUMBER.match(words):
            return Decimal(words)
    return None


def _list(cell: Optional[str]) -> List[str]:
    words = [word.strip() for word in _text(cell).split(";")]
    return [word for word in words if word and word not in ("N/A", "UNDEFINED")]


def _shapes(cell: Optional[str]) -> List[List[int]]:
    """`1,3,8,8;8` → [[1, 3, 8, 8], [8]]; what is no number is left out."""
    shapes = []
    for part in _text(cell).split(";"):
        numbers = [word.strip() for word in part.split(",")]
        if all(word.lstrip("-").isdigit() for word in numbers):
            shapes.append([int(word) for word in numbers])
    return shapes
