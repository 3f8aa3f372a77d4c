"""Nothing is lost: a run killed anywhere goes on from what it had measured, and ends the same way."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import planted
import pytest
from board import health
from work import PATIENCE_S, Work

pytestmark = pytest.mark.slow

STAGES = (
    "load:", "data:", "probe:", "build: onnxruntime-fp32", "profile: onnxruntime-fp32", "benchmark: the baseline",
    "build: int8", "check: accuracy of int8", "check: latency of int8", "check: latency of fp32", "check: final race",
    "profile: fp32", "benchmark: batch sweep", "pack:", "deploy:", "watch:", "report:",
)  # fmt: skip
"""The lines on stderr at which a run is killed, in the order in which they come."""


def sections(**change: Any) -> dict[str, Any]:
    """A ladder of two whose INT8 breaks accuracy, so that its end does not hang on how fast anything was."""
    options = {"threads": 1, "spinning": False}
    return {
        "model": "colours.onnx",
        "task": {"kind": "classification", "labels": list(planted.COLOURS)},
        "data": {"calibration": {"from": "train", "count": 20}, "validation": "val"},
        "targets": [{"name": "local", "family": "onnxruntime", "options": options}],
        **change,
    }


def prepare(work: Work, **change: Any) -> None:
    planted.colour_model(work.folder / "colours.onnx", offset=1e4)
    planted.colour_pictures(work.folder / "train", 8, seed=0)
    planted.colour_pictures(work.folder / "val", 12, seed=1)
    work.configure(**sections(**change))


def wait_for(process: subprocess.Popen[str], line: str) -> list[str]:
    """Reads stderr until a line begins so; the lines read. Fails where the process ends before."""
    assert process.stderr is not None
    seen: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as ready:
        ready.register(process.stderr, selectors.EVENT_READ)
        while ready.select(deadline - time.monotonic()):
            seen.append(process.stderr.readline())
            if seen[-1].startswith(line):
                return seen
            if not seen[-1]:
                break
    raise AssertionError(f"'{line}' never came: {''.join(seen)}")


def assert_kept(work: Work, before: dict[str, tuple[int, str]]) -> None:
    now = work.records()
    assert {name: now.get(name) for name in before} == before, "a stored result was made again, or lost"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Work]:
    """A user's folder with an empty store."""
    found = Work(tmp_path / "work")
    yield found
    found.end()


def test_a_run_killed_at_every_stage_resumes_and_ends_as_if_nothing_had_happened(fresh: Work) -> None:
    prepare(fresh)
    for number, stage in enumerate(STAGES):
        before = fresh.records()
        process = fresh.start("run", str(fresh.what), "--json")
        wait_for(process, stage)
        time.sleep(0.3 * (number % 2))  # at its beginning, or well into it
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert_kept(fresh, before)
    before = fresh.records()
    assert {name.split("/")[0] for name in before} >= {"load", "probe", "build", "race", "accuracy", "sweep", "bundle"}
    ended = fresh.run()
    assert ended.code == 0, ended.err
    assert_kept(fresh, before)
    target = ended.target()
    assert (target["verdict"], target["chosen"]) == ("pass", "fp32")
    assert ended.candidate("int8")["drop_points"] > 50
    assert health(target["service"]["url"])["release"] == target["service"]["digest"]
    assert not [p for p in fresh.settled(3) if "device.worker" in p], "a worker was left behind"


def test_ctrl_c_ends_with_130_one_sentence_and_no_program_left_behind(fresh: Work) -> None:
    prepare(fresh)
    for stage in ("probe:", "check: accuracy of int8", "check: latency of int8", "check: final race"):
        before = fresh.records()
        process = fresh.start("run", str(fresh.what), "--json", "--no-deploy")
        seen = wait_for(process, stage)
        time.sleep(0.5)  # into the stage, where programs run
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Interrupted." in err
        assert "Traceback" not in "".join(seen) + err
        assert '"kind": "Interrupted"' in out
        assert fresh.settled() == []
        assert_kept(fresh, before)
    assert fresh.run("--no-deploy").target()["chosen"] == "fp32"


def test_an_unchanged_second_run_starts_nothing_but_a_look_at_the_device(work: Work) -> None:
    prepare(work)
    first = work.run()
    assert first.code == 0, first.err
    before, page = work.records(), Path(first.json()["report"]).stat().st_mtime_ns
    assert any("device.worker" in line for line in work.started())
    second = work.run()
    assert second.code == 0, second.err
    assert [line for line in work.started() if "edgewright.device.install" not in line] == []
    assert work.records() == before
    assert Path(second.json()["report"]).stat().st_mtime_ns == page
    one, two = first.target(), second.target()
    assert two["service"]["unchanged"]
    assert two["service"]["pid"] == one["service"]["pid"]
    assert {**one, "service": None} == {**two, "service": None}


def test_a_changed_setting_redoes_only_what_depends_on_it(work: Work) -> None:
    prepare(work)
    assert work.run("--no-deploy").code == 0
    work.started()

    before = work.records()
    work.configure(**sections(goal={"max_drop": {"top1": 2}}))
    judged = work.run("--no-deploy")
    assert "limit 2" in judged.candidate("int8")["reason"]
    assert work.started() == [], "a limit is a matter of judging alone"
    assert made(work, before) <= {"accuracy"}

    before = work.records()
    work.configure(**sections(data={"calibration": {"from": "train", "count": 12}, "validation": "val"}))
    assert work.run("--no-deploy").code == 0
    assert len(of("build", work, before)) == 1, "int8 alone is calibrated"
    assert len(of("accuracy", work, before)) == 1
    assert not made(work, before) & {"load", "probe", "profile", "sweep"}
    assert_kept(work, before)

    before = work.records()
    threads = {"name": "local", "family": "onnxruntime", "options": {"threads": 2, "spinning": False}}
    work.configure(**sections(targets=[threads]))
    assert work.run("--no-deploy").code == 0
    assert not made(work, before) & {"load", "probe", "build", "health"}, "threads are a matter of running"
    assert "race" in made(work, before)
    assert_kept(work, before)


def of(stage: str, work: Work, before: dict[str, Any]) -> set[str]:
    return {name for name in set(work.records()) - set(before) if name.startswith(stage + "/")}


def made(work: Work, before: dict[str, Any]) -> set[str]:
    """The stages that made something new."""
    return {name.split("/")[0] for name in set(work.records()) - set(before)}
