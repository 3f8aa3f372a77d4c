"""What the library writes while profiling (runtime/profile.cpp): one line an event, fields separated by tabs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 512 << 20


@dataclass(frozen=True)
class Op:
    model: int
    iteration: int
    stream: int
    task: int
    name: str
    kind: str
    start: float  # us since the epoch
    duration: float  # us
    input_shapes: str
    input_types: str
    output_shapes: str
    output_types: str


@dataclass(frozen=True)
class Api:
    name: str
    start: float
    duration: float
    thread: int


@dataclass(frozen=True)
class Run:
    model: int
    iteration: int
    start: float
    duration: float


@dataclass
class Record:
    soc: str = ""
    cann: str = ""
    pid: int = 0
    ops: list[Op] = field(default_factory=list)
    apis: list[Api] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def read_record(folder: Path) -> Record:
    """Everything recorded under a PROF_… folder. ValueError when there is nothing."""
    record = Record()
    files = sorted(folder.glob("device_*/data/cannsim.*.tsv"))
    if not files:
        raise ValueError(f"no profiling data in {folder}")
    for file in files:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"{file} is larger than a recording can be")
        for line in file.read_text(errors="replace").splitlines():
            _line(line.split("\t"), record)
    return record


def _line(words: list[str], record: Record) -> None:
    try:
        if words[0] == "simulated":
            record.soc, record.cann, record.pid = words[1], words[2], int(words[3])
        elif words[0] == "api":
            record.apis.append(Api(words[1], float(words[2]), float(words[3]), int(words[4])))
        elif words[0] == "run":
            record.runs.append(Run(int(words[1]), int(words[2]), float(words[3]), float(words[4])))
        elif words[0] == "op":
            numbers = [int(word) for word in words[1:5]]
            record.ops.append(Op(*numbers, words[5], words[6], float(words[7]), float(words[8]), *words[9:13]))
    except (IndexError, ValueError, TypeError):
        return  # the last line of a killed program
