"""What a changed file of weights costs to send: our delta, which a device unpacks with Python alone, beside zstd's
patch-from and XOR + zstd, which need a library there.

    python benchmarks/deltas.py [--values 4000000]

The weights are synthetic (normal, sigma 0.02; INT8 with one scale), the changes are named in the table. zstd is
measured where `pip install zstandard` was done. Results: benchmarks/results/deltas.json and a table of per cents.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.device.delta import rebuild
from edgewright.pipeline.difference import difference

HERE = Path(__file__).parent
LEVEL = 19


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--values", type=int, default=4_000_000)
    rows = []
    for change, dtype, base, target in pairs(options.parse_args().values):
        row: dict[str, Any] = {"change": change, "dtype": dtype, "bytes": len(target), "ways": {}}
        for name, way in ways(dtype).items():
            began = time.monotonic()
            sent = way(base, target)
            row["ways"][name] = {"percent": 100 * sent / len(target), "seconds": time.monotonic() - began}
        began = time.monotonic()
        rebuilt(base, difference(base, target), target)
        row["rebuild_seconds"] = time.monotonic() - began
        rows.append(row)
        print(
            "|",
            change,
            "|",
            dtype,
            "|",
            " | ".join(f"{w['percent']:.1f}" for w in row["ways"].values()),
            "|",
            flush=True,
        )
    out = HERE / "results" / "deltas.json"
    out.write_text(json.dumps({"what": "bytes sent, per cent of the file", "rows": rows}, indent=1) + "\n")


def pairs(count: int) -> Iterator[tuple[str, str, bytes, bytes]]:
    """(change, type, file before, file after)."""
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.02, count).astype(np.float32)
    scale = np.abs(weights).max() / 127
    types: dict[str, Callable[[Any], bytes]] = {
        "int8": lambda w: np.round(w / scale).clip(-127, 127).astype(np.int8).tobytes(),
        "fp16": lambda w: w.astype(np.float16).tobytes(),
        "fp32": lambda w: w.astype(np.float32).tobytes(),
    }
    head = weights.copy()
    head[-count // 50 :] = random.normal(0, 0.02, count // 50)
    changes = {
        "head only (2 %)": head,
        "fine-tune, 1 % relative": weights * (1 + 0.01 * random.normal(size=count)),
        "fine-tune, 10 % relative": weights * (1 + 0.1 * random.normal(size=count)),
        "trained anew": random.normal(0, 0.02, count),
    }
    for dtype, written in types.items():
        base = written(weights)
        for change, changed in changes.items():
            yield change, dtype, base, written(changed)
        yield "1000 bytes inserted", dtype, base, base[:1000] + random.bytes(1000) + base[1000:]
        tuned = written(changes["fine-tune, 1 % relative"])
        yield "1000 bytes inserted, and 1 %", dtype, base, random.bytes(1000) + tuned


def ways(dtype: str) -> dict[str, Callable[[bytes, bytes], int]]:
    """Bytes that are sent by each way, by its name."""
    found: dict[str, Callable[[bytes, bytes], int]] = {
        "ours, xz": lambda base, target: len(difference(base, target, "x")),
        "ours, zlib": lambda base, target: len(difference(base, target, "z")),
        "XOR, zlib": lambda base, target: len(zlib.compress(_xor(base, target, 1), 9)),
    }
    if importlib.util.find_spec("zstandard") is not None:
        import zstandard

        def packed(data: bytes) -> int:
            return len(zstandard.ZstdCompressor(level=LEVEL).compress(data))

        def patch_from(base: bytes, target: bytes) -> int:
            known = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            settings = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=27, enable_ldm=True)
            return len(zstandard.ZstdCompressor(dict_data=known, compression_params=settings).compress(target))

        width = {"int8": 1, "fp16": 2, "fp32": 4}[dtype]
        found |= {
            "zstd patch-from": patch_from,
            "XOR planes, zstd": lambda base, target: packed(_xor(base, target, width)),
            "whole, zstd": lambda base, target: packed(target),
        }
    return found


def _xor(base: bytes, target: bytes, width: int) -> bytes:
    """Aligned at the beginning, byte planes side by side; what the base does not have is as it is."""
    old = np.zeros(len(target), np.uint8)
    common = min(len(base), len(target))
    old[:common] = np.frombuffer(base, np.uint8)[:common]
    return np.ascontiguousarray((old ^ np.frombuffer(target, np.uint8)).reshape(-1, width).T).tobytes()


def rebuilt(base: bytes, delta: bytes, target: bytes) -> None:
    out = io.BytesIO()
    rebuild(io.BytesIO(base), io.BytesIO(delta), out, len(target))
    assert out.getvalue() == target


if __name__ == "__main__":
    main()
