"""`make bench-fleet`: one wave over a thousand devices, a few of them dead or slow; how long the hub takes, what it
needs, what each is sent, and whether that keeps the goals.

The thousand are SIMULATED (fleet_farm.py): real SSH and SFTP, but the installer's answers come from one process, so the
times are the hub's and the wire's, not a device's. A dead one takes connections and says nothing; a slow one takes so
many bytes a second. A few real ones (OpenSSH, the real installer, a real service) go through the same releases beside
them. The hub is a process of its own for every release: its CPU time and its greatest resident memory are what the
kernel counted for it.

    python benchmarks/fleet.py [--devices 1000] [--dead 5] [--slow 5] [--real 2] [--concurrency 64] [--trial]

Results: benchmarks/results/fleet.json and the table of benchmarks/README.md; with --trial they are printed alone. Exit
status 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

import fleet_report  # noqa: E402

STEPS = (
    ("first install", "first"),
    ("nothing changed", "first"),
    ("new model, same runtime", "retrained"),
    ("INT8 fine-tune", "tuned"),
    ("nothing changed, again", "tuned"),
)
ATTEMPTS, PAUSE_S, TIMEOUT_S = 2, 1.0, 40.0
"""Of a device in one deployment. A dead one is given up after both."""
SLOW_BYTES_S = 16_000
"""A first install takes a slow device about 55 s, so that its second attempt goes on where the first was cut."""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--devices", type=int, default=1000)
    options.add_argument(
        "--dead", type=float, default=5, help="per cent of them: they take connections, and say nothing"
    )
    options.add_argument("--slow", type=float, default=5, help=f"per cent of them: {SLOW_BYTES_S} bytes a second")
    options.add_argument("--real", type=int, default=2)
    options.add_argument("--concurrency", type=int, default=64)
    options.add_argument("--weights", type=int, default=500_000)
    options.add_argument("--trial", action="store_true", help="print the results, and keep what is in the repository")
    options.add_argument("--hub", nargs=2, metavar=("FLEET", "BUNDLE"), help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.hub:
        print(json.dumps(hub(*asked.hub)))
        return
    if asked.dead + asked.slow >= 100:
        options.error("all devices are to be dead or slow")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what lies in memory goes with us
    asked.dead, asked.slow = (round(asked.devices * share / 100) for share in (asked.dead, asked.slow))
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        report = bench(Path(folder), asked)
    if not asked.trial:
        (HERE / "results" / "fleet.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        fleet_report.fill(HERE / "README.md", report)
    print("\n".join((fleet_report.table(report), "", fleet_report.verdicts(report))))
    sys.exit(0 if all(goal["kept"] for goal in report["goals"]) else 1)


def bench(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    bundles = bake(folder / "bake", asked.weights)
    with farm(asked.devices, asked.dead, asked.slow) as place:
        simulated = [step(folder / "hub", place, bundles[b], name, asked) for name, b in STEPS]
    real = []
    if asked.real:
        with real_devices(folder / "real", asked.real) as place:
            real = [step(folder / "real-hub", place, bundles[b], name, asked) for name, b in STEPS]
    report = {
        "what": "one wave: the same five deployments to simulated and to real devices",
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]},
        "python": platform.python_version(),
        "concurrency": asked.concurrency,
        "attempts": ATTEMPTS,
        "timeout_s": TIMEOUT_S,
        "slow_bytes_s": SLOW_BYTES_S,
        "bundle_bytes": {name: bundle_size(path) for name, path in bundles.items()},
        "simulated": {
            "SIMULATED": True, "devices": asked.devices, "dead": asked.dead, "slow": asked.slow, "steps": simulated,
        },
        "real": {"SIMULATED": False, "devices": asked.real, "dead": 0, "slow": 0, "steps": real},
    }  # fmt: skip
    return {**report, "goals": fleet_report.judged(report, ATTEMPTS * TIMEOUT_S + PAUSE_S)}


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


@dataclass(frozen=True)
class Place:
    """Where devices are: the inventory, a function that gives the bytes that came up the wire to each since it was
    asked last, and which of them are dead or slow."""

    inventory: Path
    count: Callable[[], dict[str, int]]
    dead: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()


def step(folder: Path, place: Place, bundle: Path, name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One deployment by a hub of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    fleet = folder / "fleet.yaml"
    wave = {"name": "all", "errors": {"max": len(place.slow)}, "success": {"percent": 90}}
    rollout = {"concurrency": asked.concurrency, "attempts": ATTEMPTS, "pause_s": PAUSE_S, "timeout_s": TIMEOUT_S,
               "waves": [wave]}  # fmt: skip
    asked_for = {"fleet": {"inventory": str(place.inventory)}, "release": {"bundle": str(bundle)}, "rollout": rollout,
                 "serve": {"bake_s": 0}}  # fmt: skip
    fleet.write_text(yaml.safe_dump(asked_for))
    place.count()
    began = time.monotonic()
    argv = [sys.executable, str(HERE / "fleet.py"), "--hub", str(fleet), str(folder / "home")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    wall = time.monotonic() - began
    found = json.loads(done.stdout.splitlines()[-1])
    row = {"name": name, "wall_s": wall, **fleet_report.of_groups(found, place.count(), place.dead, place.slow)}
    print(f"  {name}: {json.dumps(row)}", file=sys.stderr, flush=True)
    return row


def hub(fleet: str, home: str) -> dict[str, Any]:
    """In a process of its own: the rollout, and what the kernel counted for it."""
    from edgewright.pipeline.fleet import hub
    from edgewright.pipeline.fleet.fleet import open_fleet
    from edgewright.pipeline.fleet.ledger import UNFINISHED
    from edgewright.pipeline.fleet.releases import releases

    opened = open_fleet(fleet, home=Path(home))
    last = hub.standing(opened)
    if last is not None and last.rollout.state in UNFINISHED:
        hub.ask(opened, "abort")  # the dead were offline; a new rollout asks every device
    began, wall = time.monotonic(), time.time()
    standing = hub.carry_out(opened, releases(opened, Silent()))
    seconds = time.monotonic() - began
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "rollout_s": seconds,
        "hub_cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "hub_peak_mb": own.ru_maxrss / 1024,
        "ended": standing.rollout.state,
        "file_bytes": median(row.told.sent_bytes for row in standing.devices),
        "devices": {row.device: {"state": row.state, "after_s": row.since - wall, "attempts": row.told.attempts,
                                 "unchanged": row.told.unchanged, "detail": row.told.detail}
                    for row in standing.devices},
    }  # fmt: skip


class Silent:
    """No progress: nothing is shown while it is measured."""

    def stage(self, name: str, detail: str = "") -> None: ...

    def step(self, done: int, total: int, detail: str = "") -> None: ...

    def note(self, text: str) -> None: ...


@contextlib.contextmanager
def farm(devices: int, dead: int, slow: int) -> Iterator[Place]:
    """Simulated devices. Their folders lie in memory where that can be: each real one would have a disk of its own."""
    from sshd import make_key

    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="bench-farm-", dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        make_key(folder / "identity")
        argv = [sys.executable, str(HERE / "fleet_farm.py"), str(folder), *map(str, (devices, dead, slow)),
                str(SLOW_BYTES_S)]  # fmt: skip
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

            yield Place(write_inventory(folder, places), count, tuple(told["dead"]), tuple(told["slow"]))
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def real_devices(folder: Path, devices: int) -> Iterator[Place]:
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

        yield Place(write_inventory(folder, places), count)


def write_inventory(folder: Path, places: dict[str, str]) -> Path:
    """Addresses without options get the files beside the inventory."""
    files = f"?identity={folder}/identity&known_hosts={folder}/known_hosts"
    devices = {name: {"address": place if "?" in place else place + files} for name, place in places.items()}
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump({"devices": devices}))
    return path


def bundle_size(bundle: Path) -> int:
    return sum(path.stat().st_size for path in (bundle / "blobs" / "sha256").iterdir())


if __name__ == "__main__":
    main()
