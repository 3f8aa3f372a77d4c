"""The simulated device's state: what processes publish (runtime/load.cpp), and a chip that warms with its load."""

from __future__ import annotations

import math
import os
import struct
import time
from dataclasses import dataclass

from ..installation import fault, installation, state_folder

PUBLISHED = struct.Struct("<8sQqqdd24s")
QUICK, SLOW = 1.0, 60.0  # seconds over which load is averaged


@dataclass(frozen=True)
class Board:
    """Facts of the printed table; memory and idle figures as seen in published outputs."""

    name: str
    npu: int
    bus: str
    memory_mb: int
    idle_mb: int
    hugepages: int
    idle_watt: float | None  # None: printed as NA
    full_watt: float
    idle_celsius: float
    full_celsius: float


BOARDS = {
    "Ascend310B4": Board("310B4", 0, "NA", 3513, 1331, 15, 7.2, 13.5, 42, 78),
    "Ascend310B1": Board("310B1", 0, "NA", 11577, 2300, 15, 9.0, 21.0, 50, 82),
    "Ascend310P3": Board("310P3", 1, "0000:01:00.0", 44215, 1894, 0, None, 72.0, 47, 84),
}


@dataclass(frozen=True)
class Process:
    pid: int
    name: str
    memory_mb: int


@dataclass(frozen=True)
class State:
    board: Board
    health: str
    aicore: int  # percent
    celsius: int
    watt: float | None
    memory_mb: int
    processes: tuple[Process, ...]


def board() -> Board:
    chosen = BOARDS.get(installation().soc)
    if chosen is None:
        name = installation().soc.removeprefix("Ascend")
        chosen = Board(name, 0, "0000:C1:00.0", 32768, 3546, 0, 70.0, 300.0, 45, 80)
    memory = os.environ.get("CANNSIM_MEMORY_MB", "")
    if memory.isdigit() and int(memory) > 0:
        total = int(memory)
        chosen = Board(**{**chosen.__dict__, "memory_mb": total, "idle_mb": total // 8})
    return chosen


def read_state() -> State:
    """Loads of all processes added up; a process's load fades after its last run, its file goes when it is nothing."""
    quick = slow = 0.0
    memory = 0
    processes = []
    for path in sorted(state_folder().glob("proc-*")):
        try:
            data = path.read_bytes()
            magic, pid, held, updated, quick_load, slow_load, name = PUBLISHED.unpack_from(data)
        except (OSError, struct.error):
            continue
        if magic != b"CANNSIM1":
            continue
        age = max(0.0, (time.monotonic_ns() - updated) * 1e-9)
        quick += quick_load * math.exp(-age / QUICK)
        slow += slow_load * math.exp(-age / SLOW)
        if _alive(pid):
            memory += max(0, held)
            megabytes = -(-held // (1 << 20))
            processes.append(Process(pid, name.split(b"\0")[0].decode(errors="replace"), megabytes))
        elif age > 10 * SLOW:
            path.unlink(missing_ok=True)
    return _state(board(), min(1.0, quick), min(1.0, slow), memory, tuple(processes))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _state(chip: Board, quick: float, slow: float, memory: int, processes: tuple[Process, ...]) -> State:
    celsius = chip.idle_celsius + (chip.full_celsius - chip.idle_celsius) * slow
    health = "OK"
    wrong = fault()
    if wrong == "hot":
        celsius, health = 97.0, "Alarm"
    watt = None if chip.idle_watt is None else chip.idle_watt + (chip.full_watt - chip.idle_watt) * quick
    used = chip.memory_mb if wrong == "oom" else min(chip.memory_mb, chip.idle_mb + memory // (1 << 20))
    return State(chip, health, round(100 * quick), round(celsius), watt, used, processes)
