"""One CSV of a profiler, row by row, its columns found by name.

What the files of msprof and torch_npu do: a UTF-8 BOM now and then, times that end with a TAB, shapes with
quotes inside quotes, `N/A` in numeric cells, LF or CRLF. Columns come and go between versions and were renamed
(`Block Dim` → `Block Num`), so nothing is read by position. A file that was cut, or holds bytes that are no text,
is refused: what is missing from it cannot be known.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgewright.core.errors import InputError

MAX_BYTES = 512 << 20
MAX_ROWS = 5_000_000
NOTHING = frozenset({"", "N/A", "NA", "NULL", "NONE", "-"})
# Python writes exponents with their sign and two digits; anything else with an "e" in it is damage.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]\d{2,3})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TIME = re.compile(r"(\d{1,19})(?:\.(\d+))?")

Row = Mapping[str, str]


class Table:
    """The rows of a CSV as mappings from column name to cell, cells stripped. InputError on everything else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended = check_whole(path)
        self.columns = self._header()

    def rows(self) -> Iterator[Row]:
        """Every row. Where the last line has no end, its last cell may have lost a part: it counts as N/A."""
        waiting: dict[str, str] | None = None
        for row in self._whole_rows():
            if waiting is not None:
                yield waiting
            waiting = row
        if waiting is not None:
            yield waiting if self.ended else {**waiting, self.columns[-1]: ""}

    def _whole_rows(self) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(_plain(stream, self.path), strict=True)
            try:
                next(reader)
                for number, cells in enumerate(reader, start=2):
                    if not any(cell.strip() for cell in cells):
                        continue
                    if len(cells) != len(self.columns):
                        raise self.damaged(
                            f"line {reader.line_num} has {len(cells)} cells under {len(self.columns)} columns"
                        )
                    if number > MAX_ROWS:
                        raise self.damaged(f"it has over {MAX_ROWS} rows")
                    yield dict(zip(self.columns, map(str.strip, cells), strict=True))
            except UnicodeDecodeError:
                raise self.damaged("it holds bytes that are not UTF-8") from None
            except csv.Error as error:
                raise self.damaged(f"line {reader.line_num} is not CSV ({error})") from None

    def has(self, *names: str) -> bool:
        return all(name in self.columns for name in names)

    def first(self, *names: str) -> str:
        """The first of several names of one column that the file has; "" where it has none."""
        return next((name for name in names if name in self.columns), "")

    def require(self, *names: str) -> str:
        """As `first`, but a file without the column is refused."""
        found = self.first(*names)
        if not found:
            raise InputError(
                f"{self.path} has no column '{names[0]}'; it has {', '.join(self.columns)[:300]}.",
                "Import the file as the profiler wrote it.",
            )
        return found

    def damaged(self, how: str) -> InputError:
        return damaged(self.path, how)

    def _header(self) -> Sequence[str]:
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(_plain(stream, self.path), strict=True)
            try:
                columns = [cell.strip() for cell in next(reader)]
                if not self.ended and next(reader, None) is None:
                    raise self.damaged("it was cut in its first line")
            except (csv.Error, UnicodeDecodeError):
                raise self.damaged("its first line is no line of column names") from None
        twice = {name for name in columns if columns.count(name) > 1}
        if "" in columns or twice:
            raise self.damaged(
                "its first line " + (f"names '{twice.pop()}' twice" if twice else "has an unnamed column")
            )
        return columns


def damaged(path: Path, how: str) -> InputError:
    return InputError(f"{path} is damaged: {how}.", "Copy the file from the device again, whole.")


def check_whole(path: Path) -> bool:
    """Refuses what is empty, too large or not to be read; whether the file ends with a line end."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} is over {MAX_BYTES >> 20} MiB.", "Profile fewer steps, or import a part of it.")
        if size == 0:
            raise damaged(path, "it is empty")
        with path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check its rights.") from None


def number(table: Table, row: Row, column: str) -> float | None:
    """A cell as a finite number that is not negative; None where it is empty or N/A. InputError otherwise."""
    text = row.get(column, "") if column else ""
    if text.upper() in NOTHING:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or value < 0:
        raise table.damaged(f"'{text[:60]}' under '{column}' is no number from 0 up")
    return value


def count(table: Table, row: Row, column: str) -> int | None:
    value = number(table, row, column)
    if value is not None and value != int(value):
        raise table.damaged(f"'{row[column][:60]}' under '{column}' is no whole number")
    return None if value is None else int(value)


def moment(table: Table, row: Row, column: str) -> int | None:
    """A time stamp (µs since 1970 with three decimals) as whole nanoseconds: a float would round it to a quarter µs."""
    text = row.get(column, "") if column else ""
    if text.upper() in NOTHING:
        return None
    found = nanoseconds(text)
    if found is None:
        raise table.damaged(f"'{text[:60]}' under '{column}' is no time")
    return found


def nanoseconds(text: str) -> int | None:
    """ "1778463028574314.896" (µs) → 1778463028574314896; None where the text is no such time."""
    match = _TIME.fullmatch(text.strip())
    return int(match[1]) * 1000 + int((match[2] or "")[:3].ljust(3, "0")) if match else None


def _plain(stream: Iterator[str], path: Path) -> Iterator[str]:
    for line in stream:
        if _CONTROL.search(line):
            raise damaged(path, "it holds control characters")
        yield line
