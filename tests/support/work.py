"""A user's folder: a configuration, a store of its own, and `edgewright` as a process of its own.

Measurements are shorter than a user's: four rounds of a tenth of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgewright.device.release import Layout
from edgewright.pipeline.stop import stop
from edgewright.store.cache import Store

SHORT = """
import sys

if "probe" not in sys.argv:
    from edgewright.pipeline import check, race
    race.race.__kwdefaults__["seconds"] = 0.1
    check.ROUNDS = 4
    check.sweep.__defaults__ = ((1, 4),)  # batches

from edgewright.cli import main
main()
"""
"""`edgewright`, with measurements that are shorter than a user's."""

NOTED = """
import os, sys

def noted(event, arguments):
    if event == "subprocess.Popen":
        with open(os.environ["EDGEWRIGHT_HOME"] + ".started", "a") as file:
            print(*arguments[1], file=file)

sys.addaudithook(noted)
"""
PATIENCE_S = 420.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON object on stdout, and nothing beside it."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    def target(self) -> Any:
        """The only target of a run."""
        assert self.code in (0, 1), self.err
        (target,) = self.json()["targets"]
        return target

    def candidate(self, name: str) -> Any:
        return next(row for row in self.target()["candidates"] if row["name"] == name)

    @property
    def stages(self) -> list[str]:
        """The stages announced, in order, as `name: detail`."""
        return [line for line in self.err.splitlines() if not line.startswith("note: ")]


class Work:
    """`what` is written by `configure`; everything the commands keep is under `home`."""

    def __init__(self, folder: Path, facts: Path | None = None) -> None:
        self.folder, self.home = folder, folder / "home"
        self.what = folder / "planted.yaml"
        self.env: dict[str, str] = {}
        self.python = sys.executable
        folder.mkdir(parents=True, exist_ok=True)
        if facts is not None:
            shutil.copytree(facts, self.home / "cache" / "probe")

    @property
    def store(self) -> Store:
        return Store(self.home)

    def device(self, target: str = "local") -> Layout:
        return Layout(str(self.home / "devices" / target))

    def configure(self, **sections: Any) -> None:
        watch = {"for_s": 0, **sections.pop("watch", {})}
        self.what.write_text(yaml.safe_dump({**sections, "watch": watch}), encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`edgewright WORDS…`, in a process group of its own."""
        return subprocess.Popen(
            [self.python, "-c", NOTED + SHORT, *words], cwd=self.folder, text=True, start_new_session=True,
            env={**os.environ, "EDGEWRIGHT_HOME": str(self.home), **self.env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def do(self, *words: str) -> Ended:
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Ended(process.returncode, out, err)

    def ask(self, verb: str, *words: str) -> Ended:
        """A verb on the configuration, with its answer as JSON."""
        return self.do(verb, str(self.what), "--json", *words)

    def run(self, *words: str) -> Ended:
        """`edgewright run` to its end."""
        return self.ask("run", *words)

    def started(self) -> list[str]:
        """Command lines of the programs started since this was asked last."""
        place = Path(f"{self.home}.started")
        lines = place.read_text().splitlines() if place.is_file() else []
        place.unlink(missing_ok=True)
        return lines

    def records(self, *stages: str) -> dict[str, tuple[int, str]]:
        """Every stored record of these stages (or of all) with its time of change and its digest."""
        cache = self.home / "cache"
        paths = [p for stage in stages or ("*",) for p in cache.glob(f"{stage}/*.json")]
        return {
            str(p.relative_to(cache)): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths
        }

    def programs(self) -> list[str]:
        """Command lines of the processes that run out of this store now: workers, agents, installers."""
        return [line for line in _processes() if str(self.home) in line]

    def settled(self, seconds: float = 20) -> list[str]:
        """`programs` once there is none, or what is still there after so long."""
        deadline = time.monotonic() + seconds
        while (left := self.programs()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def end(self) -> None:
        """Ends what was left serving."""
        stop(self.store)


def _processes() -> list[str]:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,command="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]
