"""A profile as CSV files: operators, totals by type, timeline, memory. UTF-8, one header line, RFC 4180.

Names come from model files, which are not to be trusted: a spreadsheet runs a cell that begins with = + - or @
as a formula, so such text gets a leading apostrophe (OWASP, "CSV injection"). Numbers are left alone.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgewright.core.profile import Profile
from edgewright.report.numbers import shape
from edgewright.report.operators import achieved_gflops, by_type

Cell = str | int | float


def operators_csv(profile: Profile) -> str:
    header = [
        *("name", "type", "dtype", "inputs", "outputs", "calls", "duration_us", "share"),
        *("flops", "bytes", "gflops", "efficiency", "bound", "kernel", "nodes"),
    ]
    rows = (
        (
            *(o.name, o.type, o.dtype, " ".join(map(shape, o.inputs)), " ".join(map(shape, o.outputs)), o.calls),
            *(o.duration_us, o.share, o.flops, o.bytes, achieved_gflops(o), o.efficiency, o.bound, o.kernel),
            " ".join(o.nodes),
        )
        for o in profile.operators
    )
    return _table(header, rows)


def types_csv(profile: Profile) -> str:
    header = ["type", "kind", "count", "duration_us", "share", "flops", "efficiency"]
    return _table(
        header, ((t.type, t.kind, t.count, t.duration_us, t.share, t.flops, t.efficiency) for t in by_type(profile))
    )


def timeline_csv(profile: Profile) -> str:
    header = ["name", "category", "track", "start_us", "duration_us"]
    return _table(header, ((s.name, s.category, s.track, s.start_us, s.duration_us) for s in profile.timeline))


def memory_csv(profile: Profile) -> str:
    return _table(["time_us", "bytes", "owner"], ((m.time_us, m.bytes, m.owner) for m in profile.memory))


def write_csv(profile: Profile, folder: Path, stem: str = "profile") -> tuple[Path, ...]:
    """Writes `<stem>-operators.csv`, `-types`, `-timeline` and `-memory` (the last two where there is something)."""
    texts = {"operators": operators_csv(profile), "types": types_csv(profile)}
    if profile.timeline:
        texts["timeline"] = timeline_csv(profile)
    if profile.memory:
        texts["memory"] = memory_csv(profile)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / f"{stem}-{name}.csv"
        path.write_text(text, encoding="utf-8", newline="")
        written.append(path)
    return tuple(written)


def _table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Cell) -> Cell:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return "" if isinstance(value, float) and not math.isfinite(value) else value
