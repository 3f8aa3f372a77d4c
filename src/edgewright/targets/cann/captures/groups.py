"""Which files of a folder belong to one capture.

msprof writes `mindstudio_profiler_output` (older: `summary` and `timeline`) under a PROF_* folder, torch_npu
`ASCEND_PROFILER_OUTPUT` under `*_ascend_pt`; people also copy files into one flat folder, with a word before the
name. One folder and one word before the name is one capture; where a kind is there several times, the time stamps
in the names tell the captures apart, and slices of one file belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.errors import InputError

MAX_ENTRIES = 50_000
MAX_DEPTH = 12

MSPROF = ("op_summary", "api_statistic", "task_time", "step_trace", "fusion_op")
TORCH = ("kernel_details", "operator_details", "step_trace_time", "operator_memory", "memory_record", "trace_view")
_CSV = "|".join(sorted({*MSPROF, *TORCH, "op_statistic"} - {"trace_view"}, key=len, reverse=True))
_NAME = re.compile(
    rf"(?P<word>(?:.*_)?)(?:(?P<csv>{_CSV})(?P<end>(?:_[A-Za-z0-9]+)*)\.csv"
    rf"|(?P<json>trace_view|msprof|timeline)(?P<jend>(?:_\d+|_slice)*)\.json)"
)
_SLICE = re.compile(r"_slice_\d+")
_PARTS_OF_ONE = ("summary", "timeline")


@dataclass(frozen=True)
class Capture:
    """`files` by kind ("timeline" for both sorts of trace); `label` names it among the others of the folder."""

    label: str
    files: Mapping[str, tuple[Path, ...]]

    @property
    def simulated(self) -> bool:
        """Whether a README.txt beside the files says that a stand-in wrote them."""
        folders = {path.parent for paths in self.files.values() for path in paths}
        return any(_says_simulated(folder / "README.txt") for folder in folders)

    @property
    def tool(self) -> str:
        """Who measured: kinds that only one of the two writes tell."""
        torch = any(kind in TORCH for kind in self.files) or any(
            path.name.endswith("trace_view.json") for path in self.files.get("timeline", ())
        )
        return "torch_npu" if torch else "msprof"


def kind_of_file(path: Path) -> str:
    """The kind a file's name tells, "timeline" for a trace; "" for files of no profiler."""
    match = _NAME.fullmatch(path.name)
    return (match["csv"] or "timeline") if match else ""


def captures_under(folder: Path) -> tuple[Capture, ...]:
    """The captures in a folder, however deep; () where there is none. InputError for raw data nobody parsed."""
    together: dict[tuple[Path, str], list[tuple[str, str, Path]]] = {}
    raw: list[Path] = []
    for path in _files(folder):
        match = _NAME.fullmatch(path.name)
        if match:
            end = match["end"] if match["csv"] else match["jend"]
            entry = (kind_of_file(path), _SLICE.sub("", end or ""), path)
            home = path.parent.parent if path.parent.name in _PARTS_OF_ONE else path.parent
            together.setdefault((home, match["word"]), []).append(entry)
        elif _is_raw(path):
            raw.append(path)
    together = _without_repeats(together)
    if not together and raw:
        raise _unparsed(raw[0])
    found = [
        Capture(_label(folder, home, word, end if split else ""), files)
        for (home, word), entries in sorted(together.items())
        for end, files, split in _split(entries)
    ]
    return tuple(found)


def _says_simulated(readme: Path) -> bool:
    try:
        if readme.is_symlink() or not readme.is_file():
            return False
        with readme.open("rb") as stream:
            return b"simulated" in stream.read(4096)
    except OSError:
        return False


def _is_raw(path: Path) -> bool:
    """What the profilers write before, or instead of, the files that are read here."""
    collected = path.parent.name == "data" and path.parent.parent.name.startswith(("host", "device_"))
    return collected or (path.suffix == ".db" and path.name.startswith(("msprof_", "ascend_pytorch_profiler")))


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, links not followed, in a stable order. InputError where there are too many to be a capture."""
    waiting, seen = [(folder, 0)], 0
    while waiting:
        here, depth = waiting.pop()
        try:
            entries = sorted(here.iterdir())
        except OSError as error:
            raise InputError(f"{here} cannot be read: {error.strerror or error}.", "Check its rights.") from None
        for path in entries:
            seen += 1
            if seen > MAX_ENTRIES:
                raise InputError(
                    f"{folder} holds over {MAX_ENTRIES} files.",
                    "Name the folder of one capture (PROF_… or …_ascend_pt).",
                )
            if path.is_symlink():
                continue
            if path.is_dir() and depth < MAX_DEPTH:
                waiting.append((path, depth + 1))
            elif path.is_file():
                yield path


def _without_repeats(
    together: dict[tuple[Path, str], list[tuple[str, str, Path]]],
) -> dict[tuple[Path, str], list[tuple[str, str, Path]]]:
    """A *_ascend_pt folder holds the same kernels again, as msprof's own files: torch_npu's files say more."""
    told = {home.parent for home, _ in together if home.name == "ASCEND_PROFILER_OUTPUT"}
    return {
        (home, word): entries
        for (home, word), entries in together.items()
        if home.name == "ASCEND_PROFILER_OUTPUT" or not any(parent in told for parent in home.parents)
    }


def _split(entries: list[tuple[str, str, Path]]) -> Iterator[tuple[str, dict[str, tuple[Path, ...]], bool]]:
    """One capture, unless a kind comes with several endings: then one for each ending."""
    endings = {end for _, end, _ in entries}
    by_kind: dict[str, set[str]] = {}
    for kind, end, _ in entries:
        by_kind.setdefault(kind, set()).add(end)
    several = any(len(ends) > 1 for ends in by_kind.values())
    for ending in sorted(endings) if several else [""]:
        files: dict[str, tuple[Path, ...]] = {}
        for kind, end, path in entries:
            if not several or end == ending:
                files[kind] = (*files.get(kind, ()), path)
        alone = "" if several else next(iter(endings)) if len(endings) == 1 and len(entries) == 1 else ""
        yield ending or alone, files, several or bool(alone)


def _label(folder: Path, home: Path, word: str, end: str) -> str:
    """What tells the capture from its neighbours, short: its folder under the one given, the word, the ending."""
    generic = ("mindstudio_profiler_output", "ASCEND_PROFILER_OUTPUT")
    place = home.parent if home.name in generic else home
    inside = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name
    name = "/".join(part for part in ("" if inside == "." else inside, (word + end.lstrip("_")).strip("_")) if part)
    return name or (place.name or "capture")


def _unparsed(path: Path) -> InputError:
    """On an RC board msprof only collects; parsing needs a host with the toolkit."""
    root = next((parent for parent in path.parents if parent.name.startswith("PROF_")), path.parent)
    return InputError(
        f"{root} holds a profiler's raw data or database, and no files parsed from them.",
        f"Run `msprof --export=on --type=text --output={root}` on a host with the CANN toolkit, then import it.",
    )
