"""What is asked of a fleet beside a rollout: one device that talks nonsense, or falls silent, is one device."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fleets import Yard

from edgewright.core.contracts import Completed, Link, Stat
from edgewright.core.errors import DeviceError
from edgewright.pipeline.connect import connect_in
from edgewright.pipeline.fleet import devices as acts
from edgewright.pipeline.fleet.field import LEFT, ROLLED_BACK, exec_golden, roll_back, statuses
from edgewright.pipeline.fleet.fleet import Fleet, open_fleet
from edgewright.pipeline.fleet.ledger import Ledger, Row, Told
from edgewright.pipeline.fleet.rollout import FAILED, LIVE, OFFLINE, STATES, WAITING, Wave

STATUS = {
    "current": {"name": "2-bad", "number": 2, "digest": "d2"},
    "previous": {"name": "1-good", "number": 1, "digest": "d1"},
    "running": True,
    "health": {"ready": True},
    "url": "http://127.0.0.1:8080",
}
BACK = {"name": "1-good", "number": 1, "digest": "d1", "url": "http://127.0.0.1:8080", "pid": 7}


class Talker:
    """A link to a device that answers as it is told: `says` is given its name and the operation; what it is asked is
    kept in `heard`."""

    heard: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    python, root, scratch, shares_files = "python3", "/device", "/device/scratch", True

    def __init__(self, name: str, says: Callable[[str, str], str]) -> None:
        self.address, self._says = name, says

    async def run(self, argv: Sequence[str], *, stdin: str = "", **_: Any) -> Completed:
        await asyncio.sleep(0.01)
        self.heard.append((argv[-1], json.loads(stdin)))
        return Completed(0, self._says(self.address, argv[-1]), "")

    async def stat(self, remote: str) -> Stat | None:
        return Stat(0, False)

    async def close(self) -> None: ...


class Losing:
    """A link to a real device folder that loses the answer to the first rollback."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def run(self, argv: Sequence[str], **how: Any) -> Completed:
        done = await self._link.run(argv, **how)
        if argv[-1] == "rollback":
            self.asked.append(json.loads(how["stdin"]))
            if len(self.asked) == 1:
                raise DeviceError("The connection was lost.", "Run again.")
        return done


class Cut(BaseException):
    """As KeyboardInterrupt, which Python 3.11 does not bear in a task: no module can be parsed after it."""


def _fleet(folder: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[[str, str], str], *names: str) -> Fleet:
    (folder / "inventory.yaml").write_text(json.dumps({"devices": {name: {"address": "local"} for name in names}}))
    whole = {
        "fleet": {"inventory": "inventory.yaml"},
        "release": {"bundle": "b"},
        "rollout": {"attempts": 2, "concurrency": 1, "pause_s": 0},
    }
    (folder / "fleet.yaml").write_text(json.dumps(whole))

    async def connected(_: Any, target: Any) -> Talker:
        return Talker(target.name, says)

    monkeypatch.setattr(acts, "connect_in", connected)
    monkeypatch.setattr(Talker, "heard", [])
    return open_fleet(str(folder / "fleet.yaml"), home=folder / "home")


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        '{"a": ' * 5000 + "1" + "}" * 5000,
        '["current"]',
        '"current"',
        '{"error": "no"}',
        '{"current": "x"}',
        '{"current": {"number": "abc"}}',
        '{"current": {"number": Infinity}}',
        '{"current": {"number": [1]}}',
        '{"reason": "\\ud800"}',
        json.dumps({"reason": "x" * (5 << 20)}),
    ],
)
def test_a_device_that_talks_nonsense_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def says(name: str, op: str) -> str:
        return said if name == "odd" else json.dumps(STATUS)

    odd, sound = statuses(_fleet(tmp_path, monkeypatch, says, "odd", "sound"))
    assert odd.state == OFFLINE and len(odd.reason) < 1000 and odd.reason.encode()
    assert (sound.state, sound.number) == ("serving", 2)


def test_a_device_whose_replay_is_nonsense_keeps_no_other_from_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(name: str, op: str) -> str:
        return json.dumps({**BACK, "samples": 4, "mismatches": 5 if name == "odd" else [], "number": 1e400})

    done, failed = exec_golden(_fleet(tmp_path, monkeypatch, says, "odd", "sound"))
    assert not done and set(failed) == {"odd", "sound"}


def _open(fleet: Fleet, states: Sequence[str]) -> None:
    with Ledger(fleet.ledger) as ledger:
        rows = [Row(d.name, "", "p", 0, s, Told("r", s)) for d, s in zip(fleet.devices, states, strict=True)]
        ledger.begin("r", [Wave("w")], rows)


def _noted(fleet: Fleet) -> dict[str, tuple[str, str]]:
    with Ledger(fleet.ledger) as ledger:
        return {row.device: (row.state, row.told.detail) for row in ledger.rows(1)}


def test_a_device_that_was_rolled_back_counts_as_failed_whatever_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(name: str, op: str) -> str:
        return json.dumps(STATUS if op == "status" else BACK)

    fleet = _fleet(tmp_path, monkeypatch, says, *STATES)
    _open(fleet, STATES)
    assert {back.state for back in roll_back(fleet)} == {ROLLED_BACK}
    said = "Rolled back to release 1 by an operator."
    assert _noted(fleet) == {state: (FAILED, FAILED if state == FAILED else said) for state in STATES}


def test_a_rollback_that_is_interrupted_has_noted_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(name: str, op: str) -> str:
        if name == "c" and op == "rollback":
            raise Cut  # what became of it, nobody knows
        return json.dumps(
            {**STATUS, "previous": None if name == "b" else STATUS["previous"]} if op == "status" else BACK
        )

    fleet = _fleet(tmp_path, monkeypatch, says, "a", "b", "c", "d")
    _open(fleet, [LIVE] * 4)
    with pytest.raises(Cut):
        roll_back(fleet)
    noted = _noted(fleet)
    assert [state for state, _ in noted.values()] == [FAILED, LIVE, FAILED, LIVE]
    assert "by an operator" in noted["a"][1] and "is not known" in noted["c"][1]


def test_a_device_that_refuses_to_go_back_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {
        "damaged": {"kind": "rejected", "message": "It is damaged."},
        "leased": {"kind": "leased", "message": "Somebody is at work.", "holder": {}},
        "lost": {"kind": "failed", "message": "The disk is gone."},
    }

    def says(name: str, op: str) -> str:
        return json.dumps(STATUS if op == "status" else {"error": errors[name]})

    fleet = _fleet(tmp_path, monkeypatch, says, *errors)
    _open(fleet, [LIVE, WAITING, LIVE])
    assert [back.state for back in roll_back(fleet)] == [FAILED, OFFLINE, OFFLINE]
    noted = _noted(fleet)
    assert (noted["damaged"], noted["leased"]) == ((LIVE, LIVE), (WAITING, WAITING))
    assert noted["lost"][0] == FAILED and "The disk is gone." in noted["lost"][1]


def test_a_device_that_another_operator_took_after_a_lost_answer_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(name: str, op: str) -> str:
        if op == "status":
            return json.dumps(STATUS)
        if sum(asked == "rollback" for asked, _ in Talker.heard) == 1:
            raise DeviceError("The connection was lost.", "Run again.")
        return json.dumps({"error": {"kind": "leased", "message": "Somebody is at work.", "holder": {}}})

    fleet = _fleet(tmp_path, monkeypatch, says, "a")
    _open(fleet, [LIVE])
    roll_back(fleet)
    assert _noted(fleet)["a"][0] == FAILED


def test_a_ledger_that_cannot_be_written_stops_no_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(name: str, op: str) -> str:
        return json.dumps(STATUS if op == "status" else BACK)

    def full(*_: Any) -> float:
        raise DeviceError("The disk is full.", "Free some space.")

    fleet = _fleet(tmp_path, monkeypatch, says, "a", "b")
    _open(fleet, [LIVE, LIVE])
    monkeypatch.setattr(Ledger, "move", full)
    found = roll_back(fleet)
    assert [back.state for back in found] == [ROLLED_BACK] * 2 and "disk is full" in found[0].detail


def test_a_dry_run_of_a_rollback_notes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(name: str, op: str) -> str:
        assert op == "status"
        return json.dumps(STATUS if name == "a" else {**STATUS, "previous": None})

    fleet = _fleet(tmp_path, monkeypatch, says, "a", "b")
    _open(fleet, [LIVE, WAITING])
    assert [(back.state, back.number) for back in roll_back(fleet, dry_run=True)] == [(ROLLED_BACK, 1), (LEFT, 0)]
    assert [state for state, _ in _noted(fleet).values()] == [LIVE, WAITING]


def test_every_attempt_at_a_rollback_names_the_release_that_served_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = ["2-bad", "1-good"]

    def says(name: str, op: str) -> str:
        if op == "status":
            current, previous = ({"name": name} for name in serving)
            return json.dumps({**STATUS, "current": current, "previous": previous})
        if serving[0] == "2-bad":
            serving.reverse()
            raise DeviceError("The connection was lost.", "Run again.")
        return json.dumps(BACK)

    (back,) = roll_back(_fleet(tmp_path, monkeypatch, says, "a"))
    assert (back.state, back.number) == (ROLLED_BACK, 1)
    asked = [request["leave"] for op, request in Talker.heard if op == "rollback"]
    assert asked == ["2-bad", "2-bad"]


def test_a_rollback_that_is_run_again_goes_on_and_brings_no_bad_release_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run was cut after it had come to two of four, of one of which it did not hear any more."""
    serving = {name: ["2-bad", "1-good"] for name in "abcd"}
    cut = [True]

    def says(name: str, op: str) -> str:
        if op == "status":
            current, previous = ({"name": release} for release in serving[name])
            return json.dumps({**STATUS, "current": current, "previous": previous})
        serving[name].reverse()
        if name == "b" and cut[0]:
            raise Cut
        return json.dumps(BACK)

    fleet = _fleet(tmp_path, monkeypatch, says, *serving)
    _open(fleet, [LIVE] * 4)
    with pytest.raises(Cut):
        roll_back(fleet)
    assert serving["a"][0] == serving["b"][0] == "1-good" and serving["c"][0] == "2-bad"
    for states in ([LEFT, LEFT, ROLLED_BACK, ROLLED_BACK], [LEFT] * 4):
        cut[0] = False
        assert [back.state for back in roll_back(fleet)] == states
        assert {releases[0] for releases in serving.values()} == {"1-good"}


@pytest.mark.slow
def test_a_rollback_whose_answer_is_lost_is_not_undone_by_the_next_attempt(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = yard.bakery.bundle(), yard.bakery.bundle(score=0.4)
    yard.devices, yard.roots = {"dev-1": yard.devices["dev-1"]}, {"dev-1": yard.roots["dev-1"]}
    yard.deploy(good)
    yard.deploy(bad)
    monkeypatch.setattr(Losing, "asked", [])

    async def connected(store: Any, target: Any) -> Losing:
        return Losing(await connect_in(store, target))

    monkeypatch.setattr(acts, "connect_in", connected)
    (back,) = roll_back(yard.open())
    assert [request["leave"] for request in Losing.asked] == [f"2-{bad.digest[:12]}"] * 2
    assert (back.state, back.digest) == (ROLLED_BACK, good.digest)
    assert yard.served() == {"dev-1": (1, good.digest)}
