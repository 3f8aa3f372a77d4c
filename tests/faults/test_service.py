"""Releases that do not serve well: at their start, later, in what they answer, in what they take."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from board import Board
from faulty import (
    assert_one_whole_release,
    assert_right_answers,
    begin,
    install,
    serving,
    state,
    supervise,
    url,
    wait_for,
)

from edgewright.core.config import GoalConfig
from edgewright.device import durable, processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def patient(old_board: Board) -> Iterator[Board]:
    """A device that serves, and whose supervisor waits seconds where it waits minutes elsewhere."""
    started = supervise(old_board, READY_S=6.0)
    for score in (0.3, 0.5):
        assert install(old_board, old_board.bundle(score=score)).code == 0
    yield old_board
    processes.end(processes.identity(started.pid), 12.0)
    started.wait()


@pytest.fixture
def hasty(board: Board) -> Iterator[Board]:
    """A device whose supervisor takes a moment for what it takes 20 s for elsewhere: to have started well."""
    started = supervise(board, STEADY_S=0.1)
    yield board
    processes.end(processes.identity(started.pid), 12.0)
    started.wait()


@pytest.fixture
def normal(patient: Board) -> Board:
    """It serves a release that does everything right."""
    if not (patient.names()[0] or "").endswith(patient.bundle(score=0.5).digest[:12]):
        assert install(patient, patient.bundle(score=0.5)).code == 0
    return patient


def marked(name: str, outcome: str, *values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.fault(name, outcome=outcome))


KEPT = "the old release never stops answering; the reason is told: "
AGAIN = "after the fourth time in ten minutes the device goes back to the release before by itself; how often is told"
BACK = "the old release is back at once; the reason is told: "


@pytest.mark.parametrize(
    ("model", "goal", "said"),
    [
        marked("F12 a service that crashes at its start", KEPT + "it ended, with its status",
               {"crash_in_agent": True}, None, "status 9"),
        marked("F12 a service that never becomes ready", KEPT + "it was not ready in time",
               {"hang_in_agent": True}, None, "not ready after"),
        marked("F12 a service that crashes within its bake time", BACK + "it ended during its bake time",
               {"crash_after_s": 1.5}, None, "bake time"),
        marked("F12 a service that is slower than its goal allows", BACK + "its p95 and the limit",
               {"delay_ms": 8}, GoalConfig(latency_p95_ms=4), "p95 is"),
        marked("F12 a service that takes more memory than its goal allows", BACK + "its memory and the limit",
               {"ballast_mb": 120}, GoalConfig(memory_mb=100), "over the limit of 100 MiB"),
        marked("F12 a service that leaks within its bake time", BACK + "its memory and the limit",
               {"leak_mb_s": 200}, GoalConfig(memory_mb=150), "In its bake time it took"),
    ],
)  # fmt: skip
def test_a_release_that_fails(normal: Board, model: dict[str, Any], goal: GoalConfig | None, said: str) -> None:
    old, before, agent = normal.bundle(score=0.5), normal.names(), serving(normal)["pid"]
    bakes = {"bake_s": 4} if said.startswith(("bake", "In its bake")) else {}
    answer = install(normal, normal.bundle(goal, **model), **bakes)
    assert answer.code == 3 and said in answer.message, answer
    assert answer.said["error"]["kind"] == "rejected"
    assert_one_whole_release(normal, old)
    assert normal.names() == before
    assert (serving(normal)["pid"] == agent) or "in_agent" not in str(model), "the old agent was never ended"
    assert normal.journal()[-1]["step"] in ("rolled back", "refused")


@pytest.mark.fault("F12 a service whose answers are wrong", outcome=KEPT + "which golden sample has another answer")
def test_wrong_answers(normal: Board) -> None:
    old, before = normal.bundle(score=0.5), normal.names()
    answer = install(normal, normal.bundle(golden_of=old, **{"class": 0}))
    assert answer.code == 3 and "golden replay gave other answers" in answer.message
    assert_one_whole_release(normal, old)
    assert normal.names() == before


@pytest.mark.fault(
    "F12 a service that crashes after some time", outcome="it is started again, and the same release answers"
)
def test_a_crash_after_the_bake_time(normal: Board) -> None:
    bundle = normal.bundle(crash_once_after_s=1.5)
    assert install(normal, bundle).code == 0
    first = serving(normal)["pid"]
    wait_for(lambda: serving(normal).get("pid", first) != first)
    assert_one_whole_release(normal, bundle)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        marked("F12 a service that crashes some time after each start, again and again", AGAIN,
               {"crash_after_s": 2}, "ended with status 7"),
        marked("F12 a service that leaks until it is killed for its memory, again and again", AGAIN,
               {"leak_mb_s": 100, "cap_mb": 250}, "ended with signal 9"),
    ],
)  # fmt: skip
def test_ends_again_and_again(hasty: Board, model: dict[str, Any], said: str) -> None:
    old = hasty.bundle(score=0.5)
    assert install(hasty, old).code == 0
    assert install(hasty, hasty.bundle(**model)).code == 0
    wait_for(lambda: serving(hasty).get("release") == old.digest)
    reason = state(hasty)["reverted"]["reason"]
    assert "ended 4 times in " in reason and said in reason
    assert_one_whole_release(hasty, old)
    assert hasty.names()[1] == state(hasty)["reverted"]["from"], "what failed is kept to be looked at"


@pytest.mark.fault(
    "F12 a service that is killed now and then", outcome="it is started again, and is not gone back from"
)
def test_ends_now_and_then(hasty: Board) -> None:
    bundle = hasty.bundle(score=0.5)
    assert install(hasty, bundle).code == 0
    for _ in range(2):
        agent = lasting(hasty)
        processes.end(agent, 0.0)
        wait_for(lambda agent=agent: lasting(hasty) != agent)
    assert_one_whole_release(hasty, bundle)
    assert not state(hasty)["reverted"]


def lasting(board: Board) -> dict[str, Any] | None:
    """The agent, as soon as it counts as having started well."""
    wait_for(lambda: "lasting" in (durable.read_json(str(board.root / "boots.json")) or {}))
    agent = state(board).get("agent")
    return agent if processes.alive(agent) else None


@pytest.mark.fault(
    "F12 a service whose inference hangs", outcome="it is ended and started again after `serve.watchdog_s`"
)
def test_a_hang_in_an_inference(normal: Board) -> None:
    bundle = normal.bundle(hang_on_black=True)
    assert install(normal, bundle, watchdog_s=1).code == 0
    first = serving(normal)["pid"]
    asked = subprocess.Popen(
        ["python3", "-c", ASK_BLACK, url(normal) + "/infer"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: serving(normal).get("pid", first) != first)
    asked.wait()
    assert_one_whole_release(normal, bundle)


ASK_BLACK = """
import io, sys, urllib.request
import numpy
body = io.BytesIO()
numpy.save(body, numpy.zeros((8, 8, 3), numpy.uint8))
urllib.request.urlopen(urllib.request.Request(sys.argv[1], body.getvalue(), {"Content-Type": "application/x-npy"}))
"""


@pytest.mark.fault(
    "F14 a release that crashes at every start, after the installer has gone",
    outcome="the device goes back to the release before by itself, without any network, and says so",
)
def test_a_boot_loop(normal: Board) -> None:
    old = normal.bundle(score=0.5)
    looping = normal.bundle(crash_after_s=1.2)
    assert install(normal, looping, tries=2).code == 0
    wait_for(lambda: serving(normal).get("release") == old.digest)
    assert_one_whole_release(normal, old)
    wait_for(lambda: state(normal).get("reverted"))
    assert state(normal)["reverted"]["from"].endswith(looping.digest[:12])
    wait_for(lambda: normal.journal()[-1]["step"] == "reverted")
    assert normal.names()[1] == state(normal)["reverted"]["from"], "what failed is kept to be looked at"


@pytest.mark.fault(
    "F13 a rollback whose own release does not start any more",
    outcome="the reason names both; the old release is served again as soon as it starts, with no host",
)
def test_a_rollback_that_fails(normal: Board) -> None:
    fragile = normal.bundle(needs_file=str(normal.folder / "crutch"))
    (normal.folder / "crutch").touch()
    assert install(normal, fragile).code == 0
    running = begin(normal, normal.bundle(crash_in_agent=True))
    wait_for(lambda: normal.journal()[-1]["step"] in ("switching", "switched", "rolled back"))
    (normal.folder / "crutch").unlink()
    processes.end(processes.identity(serving(normal).get("pid", -1)), 0.0)
    answer = running.answer()
    assert answer.code == 3 and "does not start" in answer.message, answer
    assert (normal.names()[0] or "").endswith(fragile.digest[:12])
    (normal.folder / "crutch").touch()
    assert install(normal, fragile).code == 0
    assert_one_whole_release(normal, fragile)
    assert_right_answers(normal, fragile)
