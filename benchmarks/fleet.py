"""`make bench-fleet`: one wave over a thousand devices; how long the hub takes, what it needs, what each is sent.

The thousand are SIMULATED (fleet_farm.py): real SSH and SFTP, but the installer's answers come from one process, so the
times are the hub's and the wire's, not a device's. A few real ones (OpenSSH, the real installer, a real service) go
through the same releases beside them. The hub is a process of its own for every release: its CPU time and its greatest
resident memory are what the kernel counted for it.

    python benchmarks/fleet.py [--devices 1000] [--real 2] [--concurrency 64] [--weights 1000000]

Results: benchmarks/results/fleet.json and a table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

STEPS = (
    ("first install", "first"),
    ("nothing changed", "first"),
    ("new model, same runtime", "retrained"),
    ("INT8 fine-tune", "tuned"),
    ("nothing changed, again", "tuned"),
)
GOALS = {"hub_cpu_s": 120.0, "hub_peak_mb": 300.0, "unchanged_bytes": 10_000}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--devices", type=int, default=1000)
    options.add_argument("--real", type=int, default=2)
    options.add_argument("--concurrency", type=int, default=64)
    options.add_argument("--weights", type=int, default=500_000)
    options.add_argument("--hub", nargs=2, metavar=("FLEET", "BUNDLE"), help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.hub:
        print(json.dumps(hub(*asked.hub)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        report = bench(Path(folder), asked)
    out = HERE / "results" / "fleet.json"
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))


def bench(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    bundles = bake(folder / "bake", asked.weights)
    with farm(folder / "farm", asked.devices) as (inventory, count):
        simulated = [step(folder / "hub", inventory, bundles[b], name, count, asked) for name, b in STEPS]
    with real_devices(folder / "real", asked.real) as (inventory, count):
        real = [step(folder / "real-hub", inventory, bundles[b], name, count, asked) for name, b in STEPS]
    return {
        "what": "one wave: the same five deployments to simulated and to real devices",
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]},
        "python": platform.python_version(),
        "concurrency": asked.concurrency,
        "bundle_bytes": {name: bundle_size(path) for name, path in bundles.items()},
        "goals": GOALS,
        "simulated": {"SIMULATED": True, "devices": asked.devices, "steps": simulated},
        "real": {"SIMULATED": False, "devices": asked.real, "steps": real},
    }


def bake(folder: Path, count: int) -> dict[str, Path]:
    """Three releases of one service: its first weights, others altogether, and those fine-tuned."""
    from board import Bakery

    from edgewright.device.release import parse_manifest
    from edgewright.pipeline.bundle import write_bundle

    plain = Bakery(folder).bundle()
    manifest = parse_manifest(plain.blob(plain.digest).read_bytes())
    config = json.loads(plain.blob(manifest.config.digest).read_bytes())
    random = np.random.default_rng(0)
    first, retrained = random.normal(0, 25, (2, count)).round().clip(-127, 127).astype(np.int8)
    moved = random.normal(0, 0.01, count) * 127 + retrained  # each weight, by a hundredth of the range (sigma)
    variants = {"first": first, "retrained": retrained, "tuned": moved.round().clip(-127, 127).astype(np.int8)}
    bundles = {}
    for name, weights in variants.items():
        files: dict[str, Path | bytes] = {path: plain.blob(digest) for path, digest in plain.files.items()}
        files["model/weights.bin"] = weights.tobytes()
        bundles[name] = write_bundle(files, config, plain.name, folder / name).path
    return bundles


def step(
    folder: Path, inventory: Path, bundle: Path, name: str, count: Any, asked: argparse.Namespace
) -> dict[str, Any]:
    """One deployment by a hub of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    fleet = folder / "fleet.yaml"
    rollout = {"concurrency": asked.concurrency, "attempts": 2, "waves": [{"name": "all", "errors": {"max": 0}}]}
    asked_for = {"fleet": {"inventory": str(inventory)}, "release": {"bundle": str(bundle)}, "rollout": rollout,
                 "serve": {"bake_s": 0}}  # fmt: skip
    fleet.write_text(yaml.safe_dump(asked_for))
    count()
    began = time.monotonic()
    argv = [sys.executable, str(HERE / "fleet.py"), "--hub", str(fleet), str(folder / "home")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    wall = time.monotonic() - began
    sent = sorted(count().values())
    found = json.loads(done.stdout.splitlines()[-1])
    row = {"name": name, "wall_s": wall, **found, "wire_bytes": {"median": median(sent), "max": sent[-1]}}
    print(f"  {name}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return row


def hub(fleet: str, home: str) -> dict[str, Any]:
    """In a process of its own: the rollout, and what the kernel counted for it."""
    from edgewright.pipeline.fleet.fleet import open_fleet
    from edgewright.pipeline.fleet.hub import carry_out
    from edgewright.pipeline.fleet.releases import releases

    opened = open_fleet(fleet, home=Path(home))
    began = time.monotonic()
    standing = carry_out(opened, releases(opened, Silent()))
    seconds = time.monotonic() - began
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    told = [row.told for row in standing.devices]
    return {
        "rollout_s": seconds,
        "hub_cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "hub_peak_mb": own.ru_maxrss / 1024,
        "states": standing.counts,
        "failed": sorted({row.detail for row in told if row.detail})[:5],
        "unchanged": sum(row.unchanged for row in told),
        "file_bytes": median(row.sent_bytes for row in told),
    }


class Silent:
    """No progress: nothing is shown while it is measured."""

    def stage(self, name: str, detail: str = "") -> None: ...

    def step(self, done: int, total: int, detail: str = "") -> None: ...

    def note(self, text: str) -> None: ...


@contextlib.contextmanager
def farm(folder: Path, devices: int) -> Iterator[tuple[Path, Any]]:
    """(inventory, count) of simulated devices."""
    from sshd import make_key

    folder.mkdir(parents=True)
    make_key(folder / "identity")
    argv = [sys.executable, str(HERE / "fleet_farm.py"), str(folder), str(devices)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        lines = [f"[127.0.0.1]:{port} {told['key']}\n" for port in told["ports"].values()]
        (folder / "known_hosts").write_text("".join(lines))
        places = {name: f"ssh://bench@127.0.0.1:{port}" for name, port in told["ports"].items()}

        def count() -> dict[str, int]:
            process.stdin.write("count\n")
            process.stdin.flush()
            return dict(json.loads(process.stdout.readline()))

        yield write_inventory(folder, places), count
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def real_devices(folder: Path, devices: int) -> Iterator[tuple[Path, Any]]:
    """The same of real ones, each behind a proxy that counts."""
    from proxy import Proxy
    from sshd import Sshd

    from edgewright.device.release import Layout
    from edgewright.device.serving import Serving

    with contextlib.ExitStack() as open_ones:
        places, proxies = {}, {}
        for number in range(devices):
            name = f"real-{number}"
            server = Sshd(folder / name)
            open_ones.callback(server.stop)
            open_ones.callback(lambda root=server.home / ".edgewright": Serving(Layout(str(root))).stop())
            proxies[name] = proxy = open_ones.enter_context(Proxy(server.port))
            server.trust(proxy.port)
            places[name] = server.reach(port=proxy.port)

        def count() -> dict[str, int]:
            found = {name: proxy.up for name, proxy in proxies.items()}
            for proxy in proxies.values():
                proxy.up = 0
            return found

        yield write_inventory(folder, places), count


def write_inventory(folder: Path, places: dict[str, str]) -> Path:
    """Addresses without options get the files beside the inventory."""
    files = f"?identity={folder}/identity&known_hosts={folder}/known_hosts"
    devices = {name: {"address": place if "?" in place else place + files} for name, place in places.items()}
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump({"devices": devices}))
    return path


def bundle_size(bundle: Path) -> int:
    return sum(path.stat().st_size for path in (bundle / "blobs" / "sha256").iterdir())


def table(report: dict[str, Any]) -> str:
    titles = ("deployment", "devices", "wall s", "hub CPU s", "hub peak MB", "bytes up the wire, median (max)")
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for kind in ("simulated", "real"):
        for row in report[kind]["steps"]:
            sent = row["wire_bytes"]
            cells = (
                row["name"],
                f"{report[kind]['devices']} {'SIMULATED' if report[kind]['SIMULATED'] else 'real'}",
                f"{row['wall_s']:.1f}",
                f"{row['hub_cpu_s']:.1f}",
                f"{row['hub_peak_mb']:.0f}",
                f"{sent['median']:,.0f} ({sent['max']:,})",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
