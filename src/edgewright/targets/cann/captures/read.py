"""A capture's files → profiles: one for each capture of a folder and each device in it.

files → groups.py (which belong together) → tables and traces → one Profile, with notes on what it cannot tell
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.profile import Profile
from edgewright.targets.cann.captures import kernels, trace
from edgewright.targets.cann.captures.assemble import assemble
from edgewright.targets.cann.captures.groups import Capture, captures_under, kind_of_file
from edgewright.targets.cann.captures.table import Table

_TELLING = {
    "kernel_details": ("Name", "Type", "Accelerator Core", "Duration(us)"),
    "op_summary": ("Op Name", "OP Type", "Task Duration(us)"),
    "op_statistic": ("OP Type", "Count", "Total Time(us)"),
    "api_statistic": ("API Name", "Level", "Count"),
    "task_time": ("kernel_type", "task_time(us)"),
    "operator_details": ("Name", "Host Self Duration(us)", "Device Self Duration(us)"),
    "step_trace_time": ("Step", "Computing", "Free"),
    "step_trace": ("Iteration ID", "Iteration Time(us)"),
    "operator_memory": ("Name", "Size(KB)", "Allocation Time(us)"),
    "memory_record": ("Component", "Timestamp(us)"),
}
"""Columns by which a CSV of any name is known."""


def read(path: Path) -> tuple[Profile, ...] | None:
    """The profiles of a capture's folder, or of one of its files; None where nothing there is Ascend's.

    InputError, naming the file and what is wrong with it, where a file is of theirs but cut, damaged, over 512 MiB,
    without a column that it cannot do without, or raw data that nobody parsed yet.
    """
    if path.is_dir():
        captures = captures_under(path)
    elif path.is_file():
        kind = _kind(path)
        captures = (Capture(path.stem, {kind: (path,)}),) if kind else ()
    else:
        raise InputError(f"There is no file or folder {path}.", "Name a profiler's output.")
    if not captures:
        return None
    return tuple(assemble(capture, device) for capture in captures for device in _devices(capture.files))


def _kind(path: Path) -> str:
    """By name where the profiler gave it, else by what is in it."""
    named = kind_of_file(path)
    if named or path.suffix.lower() not in (".csv", ".json"):
        return named
    if path.suffix.lower() == ".json":
        return "timeline" if trace.is_ascend(path) else ""
    try:
        columns = set(Table(path).columns)
    except InputError:
        return ""
    return next((kind for kind, telling in _TELLING.items() if columns >= set(telling)), "")


def _devices(files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
    """The devices the kernels ran on; the first file that tells decides. ("",) where none does."""
    for kind in ("op_summary", "kernel_details", "op_statistic", "task_time", "step_trace_time"):
        found = sorted({device for path in files.get(kind, ()) for device in kernels.devices(Table(path))} - {""})
        if found:
            return tuple(found)
    labels = {label for path in files.get("timeline", ()) for label in trace.labels_of(path)}
    return tuple(sorted(label.removeprefix("NPU ") for label in labels if label.startswith("NPU "))) or ("",)
