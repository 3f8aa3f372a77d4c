"""What this device is and what it reaches: `python -m edgewright.device.probe FOLDER` prints core.facts.Facts as JSON.

FOLDER holds app/engine.py (a target's ondevice.py) and probe.json: {"family", "seconds", "products": [{"precision",
"path", "settings", "operations"}]}, where each path is a model made of large matrix products. A precision counts only
if the engine says that it ran in it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import time
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

ISA = (
    "sse4_2 avx avx2 fma f16c avx512f avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile amx_int8 amx_bf16 "
    "neon asimd asimdhp asimddp i8mm bf16 sve sve2"
).split()
BLOCK = 64 << 20
"""Bytes of each array in the bandwidth test: beyond any cache, if memory allows."""


def main(argv: List[str]) -> int:
    if len(argv) != 2:
        print("usage: python -m edgewright.device.probe FOLDER", file=sys.stderr)
        return 2
    folder = os.path.abspath(argv[1])
    with open(os.path.join(folder, "probe.json"), encoding="utf-8") as file:
        plan = json.load(file)
    found = dict(facts(folder), family=plan["family"])
    answer: Dict[str, Any] = {"facts": found, "problems": []}
    try:
        peaks, runtimes, answer["problems"] = products(folder, plan)
        found.update(peaks=peaks, runtimes=dict(found["runtimes"], **runtimes))
    except Exception as error:
        answer["problems"] = ["%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300])]
        answer["unusable"] = True
    found["bandwidth"] = bandwidth(found["threads"], found["memory"])
    print(json.dumps(answer))
    return 0


def facts(folder: str) -> Dict[str, Any]:
    """What the system says of itself: no measurement."""
    name, flags, physical = _processor()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "device": platform.node(),
        "system": "%s %s" % (platform.system(), platform.release()),
        "machine": platform.machine(),
        "processor": name or platform.processor(),
        "cores": max(1, min(physical or usable, usable)),
        "threads": usable,
        "memory": _memory(),
        "disk_free": shutil.disk_usage(folder).free,
        "isa": [flag for flag in ISA if flag in flags],
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "runtimes": {"numpy": np.__version__},
        "board": _text("/proc/device-tree/model").strip("\0 \n"),
    }


def products(folder: str, plan: Mapping[str, Any]) -> Tuple[Dict[str, float], Dict[str, str], List[str]]:
    """GFLOP/s (int8: GOP/s) by precision executed, the runtime's versions, and what could not be measured."""
    from edgewright.device.service import inside, load_module

    engine = load_module(os.path.join(folder, "app", "engine.py"), "edgewright_engine")
    peaks: Dict[str, float] = {}
    runtimes: Dict[str, str] = {}
    problems: List[str] = []
    for product in plan.get("products", []):
        kind = str(product["precision"])
        try:
            opened = engine.open(inside(folder, product["path"]), dict(product.get("settings") or {}))
        except ImportError:
            raise
        except Exception as error:
            problems.append("%s: %s" % (kind, " ".join(str(error).split())[:200]))
            continue
        runtimes.update(getattr(opened, "runtime", {}))
        if opened.executed()["precisions"].get(kind, 0.0) >= 0.5:
            best = _fastest(opened, float(plan.get("seconds", 0.4)))
            peaks[kind] = float(product["operations"]) / best / 1e9
        opened.close()
    return peaks, runtimes, problems


def _fastest(engine: Any, seconds: float) -> float:
    """Seconds of the fastest of many runs: a peak is what the machine can do when nothing disturbs it."""
    feeds = {value["name"]: np.full(value["shape"], 0.5, value["dtype"]) for value in engine.inputs}
    engine.run(feeds)
    best, count, end = float("inf"), 0, time.perf_counter() + seconds
    while count < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        engine.run(feeds)
        best, count = min(best, time.perf_counter() - start), count + 1
    return best


def bandwidth(threads: int, memory: int) -> float:
    """GB/s of c = a + b over arrays far larger than the caches, one thread a core (after STREAM, McCalpin 1995)."""
    count = max(1, threads)
    size = min(BLOCK, max(1 << 20, memory // (16 * 3 * count))) if memory else 8 << 20
    arrays = [[np.ones(size // 8) for _ in range(3)] for _ in range(count)]
    best = float("inf")
    for _ in range(5):
        workers = [threading.Thread(target=np.add, args=(a, b, c)) for a, b, c in arrays]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - start)
    return 3.0 * count * (size // 8) * 8 / best / 1e9


def _processor() -> Tuple[str, List[str], int]:
    """Model name, flags, and physical cores from /proc/cpuinfo; empty and 0 where there is none."""
    name, package = "", ""
    flags: List[str] = []
    cores = set()
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if key in ("model name", "Model", "Hardware") and not name:
            name = value
        elif key in ("flags", "Features") and not flags:
            flags = value.split()
        elif key == "physical id":
            package = value
        elif key == "core id":
            cores.add((package, value))
    return name, flags, len(cores)


def _memory() -> int:
    """Bytes of memory this process may use: the machine's, or less where a control group says so."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
    limit = _text("/sys/fs/cgroup/memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() else total


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
