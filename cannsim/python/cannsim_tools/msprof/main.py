"""`msprof`: collects while a program runs, or exports what was collected before."""

from __future__ import annotations

import os
import random
import shlex
import string
import subprocess
import time
from pathlib import Path

from .record import read_record
from .tables import write_tables
from .timeline import write_timeline

VALUES = {
    "ascendcl": ("on", "off"),
    "runtime-api": ("on", "off"),
    "aicpu": ("on", "off"),
    "l2": ("on", "off"),
    "hccl": ("on", "off"),
    "model-execution": ("on", "off"),
    "ai-core": ("on", "off"),
    "task-time": ("on", "off", "l0", "l1"),
    "aic-mode": ("task-based", "sample-based"),
    "aic-metrics": (
        "PipeUtilization", "ArithmeticUtilization", "Memory", "MemoryL0", "MemoryUB", "ResourceConflictRatio",
        "L2Cache", "MemoryAccess", "PipelineExecuteUtilization",
    ),
    "type": ("text", "db"),
    "export": ("on", "off"),
    "summary-format": ("csv", "json"),
}  # fmt: skip
FREE = {"output", "application", "model-id", "iteration-id", "sys-hardware-mem", "storage-limit", "python-path"}
USAGE = """usage: msprof [--output=DIR] [options] <app> [args]
       msprof --export=on --output=PROF_DIR
(cannsim: simulated)"""
README = """The data in this folder are simulated: written by cannsim, a stand-in for an Ascend device,
from times measured on a CPU. Operator times are OpenVINO's; start times inside a run follow from their order;
columns that need the hardware's counters are N/A. The cost of emulating fp16 is left out.
"""


def main(arguments: list[str]) -> int:
    try:
        options, application = _parse(arguments)
        if options.get("type") == "db":
            raise ValueError("--type=db is absent from the stand-in")
        if options.get("export") == "on":
            return _export(Path(options.get("output", ".")))
        if options.get("application"):
            application = shlex.split(options["application"])
        if not application:
            raise ValueError("no application to profile")
        return _collect(Path(options.get("output", ".")), application)
    except (ValueError, OSError) as problem:
        print(f"[ERROR] {problem}\n{USAGE}")
        return 1


def _parse(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options up to the first word that is none; that word begins the program to run."""
    options: dict[str, str] = {}
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        name, equals, value = arguments[at].lstrip("-").partition("=")
        at += 1
        if name in ("help", "h"):
            raise ValueError("help")
        if name not in VALUES and name not in FREE and not name.startswith("sys-"):
            raise ValueError(f"unrecognized option '--{name}'")
        if not equals:
            if at == len(arguments):
                raise ValueError(f"--{name} needs a value")
            value = arguments[at]
            at += 1
        if name in VALUES and value not in VALUES[name]:
            raise ValueError(f"Argument --{name}: invalid value {value}, one of {', '.join(VALUES[name])}")
        options[name] = value
    return options, arguments[at:]


def _collect(parent: Path, application: list[str]) -> int:
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    tail = "".join(random.choices(string.ascii_uppercase, k=16))
    folder = (parent / f"PROF_000001_{stamp}{os.getpid() % 1000:03d}_{tail}").resolve()
    old = os.umask(0o027)
    for part in ("host/data", "device_0/data"):
        (folder / part).mkdir(parents=True)
    os.umask(old)
    print(f"[INFO] Start profiling....\n[INFO] Process profiling data (simulated): {folder}", flush=True)
    try:
        done = subprocess.run(application, env={**os.environ, "CANNSIM_PROFILE_DIR": str(folder)}, check=False)
    except OSError as problem:
        raise ValueError(f"{application[0]} cannot be run: {problem.strerror}") from None
    if os.environ.get("CANNSIM_MSPROF_PARSE") == "off":  # as on an RC board, where the data go to a host first
        print(f"[WARNING] Data are not parsed on this board; run msprof --export=on --output={folder.name} on a host")
        return done.returncode
    exported = _export(folder)
    return done.returncode or exported


def _export(folder: Path) -> int:
    folders = [folder] if folder.name.startswith("PROF_") else sorted(folder.glob("PROF_*"))
    if not folders:
        raise ValueError(f"no PROF_ folder in {folder}")
    for one in folders:
        record = read_record(one)
        target = one / "mindstudio_profiler_output"
        target.mkdir(exist_ok=True)
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
        write_tables(record, target, stamp)
        write_timeline(record, target, stamp)
        (target / "README.txt").write_text(README)
        print(f"[INFO] Export all data in {one.name} done.", flush=True)
    return 0
