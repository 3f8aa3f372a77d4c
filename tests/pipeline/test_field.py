"""Watching and learning, end to end: real services, real contention, a promise that breaks and what becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import planted
import pytest
from board import health
from work import Ended, Work

from edgewright.core.verdict import Incident
from edgewright.store.telemetry import Telemetry

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SPELLS = 12
"""Times that the service is watched before the test gives up waiting for an incident; each adds a burner per core."""


def prepare(work: Work, **sections: Any) -> None:
    """A service whose INT8 is several times faster and, by its goal, a little less accurate."""
    if not (work.folder / "heart.onnx").exists():
        planted.learnt_by_heart(work.folder / "heart.onnx", work.folder / "pictures", count=8, size=96)
    work.configure(
        **{
            "model": "heart.onnx",
            "task": {"kind": "classification", "labels": ["left", "right"]},
            "data": {"calibration": "pictures", "validation": "pictures"},
            "targets": [{"name": "edge", "family": "onnxruntime", "options": {"threads": 1, "spinning": False}}],
            "serve": {"source": "loop:pictures/left"},
            **sections,
        }
    )


def promise(limit: float, incident: float | None = None) -> dict[str, Any]:
    """Accuracy first, under a limit of p95; `incident` is watched for where it is another one."""
    return {
        "goal": {"optimise": "accuracy", "latency_p95_ms": limit, "max_drop": {"top1": 100}},
        "watch": {"interval_s": 1, "for_s": 0, "incidents": {"latency_p95_ms": incident or limit}},
    }


def lesson(ended: Ended) -> Any:
    (found,) = ended.json()["lessons"]
    return found


def recorded(work: Work) -> list[Any]:
    path = work.home / "runs" / "planted" / "edge" / "lessons.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def serving(work: Work) -> tuple[str, str]:
    """The live release's digest and the candidate in it, as the device has them."""
    current = Path(work.device("edge").current)
    digest = json.loads((current / "release.json").read_text())["digest"]
    return digest, json.loads((current / "decision.json").read_text())["chosen"]


class Burners:
    """Processes that want a core each, all the time; each in a session of its own, because Linux may share the cores
    among sessions first (sched_autogroup), and then all of them together would weigh as much as the service."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def add(self, count: int) -> None:
        burner = [sys.executable, "-c", "while True: pass"]
        self._running += [subprocess.Popen(burner, start_new_session=True) for _ in range(count)]

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@contextmanager
def contention() -> Iterator[Burners]:
    burners = Burners()
    try:
        yield burners
    finally:
        burners.end()


def test_contention_breaks_the_promise_and_learning_brings_a_candidate_that_keeps_it(work: Work) -> None:
    prepare(work, goal={"optimise": "accuracy", "max_drop": {"top1": 100}})
    quiet = work.run("--no-deploy")
    assert quiet.code == 0, quiet.err
    assert quiet.target()["chosen"] == "fp32"
    assert quiet.candidate("int8")["speedup"] > 1.5 * quiet.candidate("fp32")["speedup"]
    limit = 2.5 * quiet.candidate("fp32")["latency_p95_ms"]

    prepare(work, **promise(limit))
    run = work.run()
    assert run.code == 0, run.err
    assert run.target()["chosen"] == "fp32"
    url, before = run.target()["service"]["url"], serving(work)
    assert before[1] == "fp32"

    with contention() as burners:
        incidents: list[Any] = []
        for _ in range(SPELLS):
            burners.add(os.cpu_count() or 2)
            watched = work.ask("watch", "--for", "8")
            (target,) = watched.json()["targets"]
            assert target["readings"]
            incidents += target["incidents"]
            if incidents:
                break
        assert incidents, "the service kept its promise whatever was done to it"
        assert watched.code == 1
        assert incidents[0]["promise"] == "latency_p95_ms"
        assert incidents[0]["seen"] > limit
        learned = work.ask("learn")
    found = lesson(learned)
    assert (found["outcome"], found["was"], found["now"]) == ("redeployed", "fp32", "int8"), found["sentence"]
    assert learned.code == 0
    assert found["incident"]["sentence"] in found["sentence"]
    assert "int8 is chosen for accuracy" in found["sentence"]
    assert recorded(work) == [found]
    digest, chosen = serving(work)
    assert chosen == "int8"
    assert digest != before[0]
    assert health(url)["release"] == digest

    again = work.ask("learn")
    assert lesson(again)["outcome"] == "nothing to learn"
    assert again.code == 0
    assert work.ask("watch", "--for", "2").code in (0, 1), "the new release can be watched"

    rerun = work.run()
    assert rerun.target()["service"]["unchanged"], "running again does not undo what was learnt"
    assert rerun.target()["chosen"] == "int8"
    assert rerun.target()["sentences"][0] == found["sentence"]

    with Telemetry(work.home / "telemetry.sqlite") as telemetry:
        telemetry.add_incident("edge", Incident("latency_p95_ms", 1, 2, 999, 1005, digest, "p95 was 2 ms over 1 ms."))
    cooling = work.ask("learn")
    assert lesson(cooling)["outcome"] == "cooling down"
    assert cooling.code == 1
    assert serving(work) == (digest, "int8")
    assert recorded(work) == [found]


def test_a_promise_that_nothing_can_keep_ends_with_no_better_candidate_and_the_service_stays(work: Work) -> None:
    prepare(work, **promise(60_000, incident=0.001))
    run = work.run()
    assert run.code == 0, run.err
    assert run.target()["chosen"] == "fp32"
    before = serving(work)
    for _ in range(SPELLS):
        watched = work.ask("watch", "--for", "5")
        if watched.code == 1:
            break
    (target,) = watched.json()["targets"]
    assert target["incidents"][0]["limit"] == 0.001
    learned = work.ask("learn")
    found = lesson(learned)
    assert (found["outcome"], found["now"]) == ("no better candidate", "fp32")
    assert "no candidate keeps the goal; nearest is" in found["sentence"]
    assert learned.code == 1
    assert serving(work) == before
    assert recorded(work) == [found]
    assert lesson(work.ask("learn"))["outcome"] == "nothing to learn", "an incident is answered once"
