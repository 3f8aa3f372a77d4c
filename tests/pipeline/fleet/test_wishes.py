"""What an operator asked of a rollout stands, whatever becomes of the hub that was to do it. No device is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edgewright.core.errors import InputError
from edgewright.pipeline.bundle import Bundle, Needs
from edgewright.pipeline.fleet import hub
from edgewright.pipeline.fleet.fleet import Fleet, open_fleet
from edgewright.pipeline.fleet.ledger import Ledger, Row
from edgewright.pipeline.fleet.releases import FleetRelease, digest
from edgewright.pipeline.fleet.rollout import LIVE, SENDING, Wave

FOUND = {"all": FleetRelease("all", Bundle(Path(), "d1", 0, {}, {}, Needs(), "", "", ""))}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    devices = {name: {"address": "local", "root": str(tmp_path / name)} for name in ("a", "b")}
    (tmp_path / "inventory.yaml").write_text(yaml.safe_dump({"devices": devices}))
    what = {"fleet": {"inventory": "inventory.yaml"}, "release": {"bundle": "nowhere"}}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(what))
    return open_fleet(str(tmp_path / "fleet.yaml"), home=tmp_path / "home")


@pytest.fixture
def ledger(fleet: Fleet) -> Iterator[Ledger]:
    """As a hub leaves it that is killed while it works on "a"."""
    with Ledger(fleet.ledger) as found:
        states = {"a": SENDING, "b": LIVE}
        rows = [Row(d.name, d.target, fleet.place(d), 0, states[d.name]) for d in fleet.devices]
        found.begin(digest(fleet, FOUND), [Wave("rest")], rows)
        yield found


def _now(ledger: Ledger) -> tuple[str, str, str, int]:
    rollout = ledger.rollout(1)
    return rollout.state, rollout.reason, rollout.wanted, rollout.paused_at


def test_a_pause_outlives_the_hub_that_was_killed_before_it_had_paused(fleet: Fleet, ledger: Ledger) -> None:
    ledger.ask(1, "pause")
    for _ in range(2):  # whatever runs commands again runs it again and again
        with pytest.raises(InputError, match=r"is paused: An operator asked for it\..*--resume"):
            hub.carry_out(fleet, FOUND)
        assert _now(ledger) == ("paused", "An operator asked for it.", "", -1)
    assert [row.state for row in ledger.rows(1)] == [SENDING, LIVE], "no device was begun"


def test_an_abort_outlives_the_hub_that_was_killed_before_it_had_aborted(fleet: Fleet, ledger: Ledger) -> None:
    ledger.ask(1, "abort")
    with pytest.raises(InputError, match="aborted: An operator asked for it"):
        hub.carry_out(fleet, FOUND)
    assert _now(ledger) == ("aborted", "An operator asked for it.", "", -1)
    with pytest.raises(InputError, match="no rollout of these releases to resume"):
        hub.carry_out(fleet, FOUND, resume=True)


def test_an_abort_that_no_hub_saw_to_is_not_resumed(fleet: Fleet, ledger: Ledger) -> None:
    ledger.ask(1, "abort")
    with pytest.raises(InputError, match="no rollout of these releases to resume"):
        hub.carry_out(fleet, FOUND, resume=True)
    assert _now(ledger)[0] == "aborted"


def test_a_pause_of_what_a_condition_has_paused_leaves_its_reason_and_its_wave(fleet: Fleet, ledger: Ledger) -> None:
    ledger.end(1, "paused", "rest: it is too slow.", paused_at=0)
    assert hub.ask(fleet, "pause").rollout == ledger.rollout(1)
    assert _now(ledger) == ("paused", "rest: it is too slow.", "", 0)
    ledger.reopen(1, resume=True)
    assert ledger.waves(1)[0].accepted, "--resume takes that wave as it is"
    assert hub.ask(fleet, "abort").rollout.state == "aborted"


def test_an_abort_while_a_pause_is_under_way_aborts(fleet: Fleet, ledger: Ledger) -> None:
    """The wish that was said last counts."""
    ledger.ask(1, "pause")
    with ledger.hub():
        assert hub.ask(fleet, "abort").rollout.wanted == "abort"
    with pytest.raises(InputError, match="aborted"):
        hub.carry_out(fleet, FOUND)
