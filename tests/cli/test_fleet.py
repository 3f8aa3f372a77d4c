"""The verbs on a fleet's file: words, exit codes, one JSON object, plain lines without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from board import Bakery
from fleets import Yard


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("fleet")
    found = Yard(folder, Bakery(folder / "bakery"))
    yield found
    found.end()


def _say(yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from edgewright.cli import main; main()", *words]
    environment = {**os.environ, "EDGEWRIGHT_HOME": str(yard.home)}
    return subprocess.run(
        argv, capture_output=True, text=True, env=environment, cwd=yard.folder, stdin=subprocess.DEVNULL, timeout=180
    )


def test_a_fleet_by_words(yard: Yard) -> None:
    bundle = yard.bakery.bundle(score=0.5)
    yard.write({"all": bundle})
    what = str(yard.what)

    unasked = _say(yard, "deploy", what)
    assert unasked.returncode == 2 and "--yes" in unasked.stderr

    planned = _say(yard, "deploy", what, "--dry-run")
    assert planned.returncode == 0
    assert "canary · all · dev-1" in planned.stdout and "rest · all · dev-2, dev-3" in planned.stdout

    done = _say(yard, "deploy", what, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert (told["rollout"]["state"], told["counts"]) == ("complete", {"live": 3})
    assert [(row["device"], row["wave"], row["release"]) for row in told["devices"]] == [
        ("dev-1", "canary", bundle.digest), ("dev-2", "rest", bundle.digest), ("dev-3", "rest", bundle.digest),
    ]  # fmt: skip
    assert "canary: dev-1 serves release 1" in done.stderr and "canary: passed" in done.stderr

    again = _say(yard, "deploy", what, "--yes", "--select", "site=b")
    assert again.returncode == 0 and again.stdout.count("had it") == 2

    status = json.loads(_say(yard, "status", what, "--json", "--select", "group=canary").stdout)
    assert [(row["device"], row["state"], row["digest"]) for row in status["devices"]] == [
        ("dev-1", "serving", bundle.digest)
    ]
    assert "dev-3" in _say(yard, "status", what).stdout
    yard.devices["dev-9"] = {"address": "ssh://127.0.0.1:1"}
    yard.rollout["attempts"] = 1
    yard.write({"all": bundle})
    away = _say(yard, "status", what)
    assert away.returncode == 3 and "offline" in away.stdout
    del yard.devices["dev-9"]
    yard.write({"all": bundle})

    back = _say(yard, "rollback", what, "--select", "group=canary")
    assert back.returncode == 0 and "There is no release before on it." in back.stdout

    golden = json.loads(_say(yard, "exec-golden", what, "--json").stdout)
    assert [row["mismatches"] for row in golden["devices"]] == [[], [], []] and golden["failed"] == {}
    assert len(json.loads(_say(yard, "logs", what, "-n", "1", "--json").stdout)["logs"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy", "model.onnx", "--select", "a=b"), "--select goes with a fleet's file"),
        (("deploy", "FLEET", "--target", "x"), "--target does not go with a fleet's file"),
        (("deploy", "FLEET", "--pause", "--abort"), "exclude each other"),
        (("deploy", "FLEET", "--pause"), "No rollout of this fleet is open"),
        (("deploy", "FLEET", "--yes", "--resume"), "no rollout of these releases to resume"),
        (("logs", "FLEET"), "No service has written a log on these devices"),
        (("status", "FLEET", "--select", "name=nobody"), "No device of 3 is selected"),
        (("rollback", "FLEET", "--select", "=x"), "selects nothing that could be"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    yard = Yard(tmp_path, Bakery(tmp_path / "bakery"))
    if "--resume" in words:
        yard.write({"all": yard.bakery.bundle()})
    else:
        yard.write({})
        yard.what.write_text(yard.what.read_text().replace("release: {}", "release: {bundle: nowhere}"))
    done = _say(yard, *(str(yard.what) if word == "FLEET" else word for word in words))
    assert done.returncode == 2 and said in done.stderr, done.stderr
