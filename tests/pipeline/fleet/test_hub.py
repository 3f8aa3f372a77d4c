"""The hub on real device folders: what is delivered, paused, caught up, and never done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fleets import Yard

from edgewright.core.errors import InputError
from edgewright.device import install
from edgewright.device.release import Layout
from edgewright.device.serving import Serving
from edgewright.pipeline.fleet import hub
from edgewright.pipeline.fleet.field import LEFT, ROLLED_BACK, plans, roll_back, statuses
from edgewright.pipeline.fleet.ledger import Ledger
from edgewright.pipeline.fleet.releases import releases
from edgewright.pipeline.progress import Silent

pytestmark = pytest.mark.slow

KILLED_HUB = Path(__file__).parents[2] / "support" / "killed_hub.py"


def test_a_release_spreads_wave_by_wave_and_the_next_one_replaces_it(yard: Yard) -> None:
    first, order = yard.bakery.bundle(score=0.5), []
    found = yard.deploy(first, tell=lambda _, row: order.append((row.device, row.state)) if row else None)
    assert found.rollout.state == "complete"
    assert yard.served() == dict.fromkeys(yard.roots, (1, first.digest))
    assert order[:2] == [("dev-1", "sending"), ("dev-1", "live")]
    assert {row.told.sent_bytes for row in found.devices} == {first.size}

    again = yard.deploy(first)
    assert [(row.told.unchanged, row.told.sent_bytes) for row in again.devices] == [(True, 0)] * 3
    assert again.rollout.id != found.rollout.id, "a finished rollout is not gone on with: every device is asked"

    second = yard.bakery.bundle(score=0.55)
    assert yard.deploy(second).counts == {"live": 3}
    assert yard.served() == dict.fromkeys(yard.roots, (2, second.digest))

    fleet = yard.open("name=dev-1")
    assert [item.state for item in roll_back(fleet)] == [ROLLED_BACK]
    assert [item.state for item in roll_back(yard.open("site=a"), dry_run=True)] == [ROLLED_BACK]
    assert {name: digest for name, (_, digest) in yard.served().items()} == {
        "dev-1": first.digest, "dev-2": second.digest, "dev-3": second.digest,
    }  # fmt: skip
    assert {now.device: (now.state, now.digest) for now in statuses(yard.open())}["dev-1"] == ("serving", first.digest)
    assert LEFT not in {item.state for item in roll_back(yard.open("site=b"), dry_run=True)}


def test_a_release_that_the_canary_refuses_goes_no_further(yard: Yard) -> None:
    good = yard.bakery.bundle(score=0.5)
    wrong = yard.bakery.bundle(golden_of=good, score=0.1)
    found = yard.deploy(wrong)
    assert (found.rollout.state, found.counts) == ("paused", {"failed": 1, "waiting": 2})
    assert "canary: 1 failed (dev-1)" in found.rollout.reason
    assert "golden replay gave other answers" in found.devices[0].told.detail
    assert set(yard.served().values()) == {(0, "")}

    with pytest.raises(InputError, match="--resume"):
        yard.deploy(wrong)
    assert yard.deploy(wrong, resume=True).rollout.state == "paused", "it is tried again, and fails again"
    assert yard.deploy(good).counts == {"live": 3}, "a better release supersedes it"


def test_an_operator_pauses_resumes_and_aborts(yard: Yard) -> None:
    bundle = yard.bakery.bundle(score=0.5)

    def asking(wanted: str):
        def tell(_, row) -> None:
            if row is not None and row.state == "live":
                with pytest.raises(InputError, match="another process"):
                    roll_back(yard.open())
                hub.ask(yard.open(), wanted)

        return tell

    paused = yard.deploy(bundle, tell=asking("pause"))
    assert (paused.rollout.state, paused.counts) == ("paused", {"live": 1, "waiting": 2})
    with pytest.raises(InputError, match="An operator asked"):
        yard.deploy(bundle)
    done = yard.deploy(bundle, resume=True)
    assert (done.rollout.id, done.counts) == (paused.rollout.id, {"live": 3})
    with pytest.raises(InputError, match="No rollout"):
        hub.ask(yard.open(), "abort")
    with pytest.raises(InputError, match="to resume"):
        yard.deploy(bundle, resume=True)

    other = yard.bakery.bundle(score=0.55)
    aborted = yard.deploy(other, tell=asking("abort"))
    assert (aborted.rollout.state, aborted.counts["waiting"]) == ("aborted", 2)
    with pytest.raises(InputError, match="to resume"):
        yard.deploy(other, resume=True)


def test_a_hub_that_is_killed_again_and_again_forgets_no_device_and_does_none_twice(yard: Yard) -> None:
    """At every write of its ledger, before the commit and after: support/killed_hub.py finds them by itself."""
    bundle = yard.bakery.bundle(score=0.5)
    yard.rollout["waves"] = [{"name": "canary", "select": "group=canary", "bake_s": 0.05}]
    yard.write({"all": bundle})
    argv = [sys.executable, str(KILLED_HUB), str(yard.what), str(yard.home)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    found = json.loads(done.stdout)
    assert found["state"] == "complete", done.stderr
    assert {digest for _, digest in yard.served().values()} == {bundle.digest}
    assert yard.committed() == dict.fromkeys(yard.roots, 1), "each was changed once"
    for write in (
        "begun", "dev-1: waiting → sending", "dev-1: sending → live", "wave settled", "dev-1: live → asked",
        "dev-1: asked → live", "wave passed", "opened", "dev-3: sending → live", "complete",
    ):  # fmt: skip
        for when in ("before", "after"):
            assert any(kill.startswith(when) and write in kill for kill in found["kills"]), (when, write)
    with Ledger(yard.open().ledger) as ledger:
        rollout = ledger.newest()
        assert rollout is not None and rollout.id == 2, (
            "after its last write it is complete: the next one asks everyone"
        )
        assert {row.state for number in (1, 2) for row in ledger.rows(number)} == {"live"}
        assert all(row.told.unchanged for row in ledger.rows(2))


def test_a_device_that_is_set_up_anew_while_a_rollout_is_open_begins_anew(yard: Yard) -> None:
    bundle = yard.bakery.bundle(score=0.5)

    def tell(_, row) -> None:
        if row is not None and row.state == "live":
            hub.ask(yard.open(), "pause")

    assert yard.deploy(bundle, tell=tell).counts == {"live": 1, "waiting": 2}
    install.stop(Layout(str(yard.roots["dev-1"])), {})
    shutil.rmtree(yard.roots["dev-1"])
    done = yard.deploy(bundle, resume=True)
    assert (done.rollout.id, done.rollout.state, done.counts) == (1, "complete", {"live": 3})
    assert set(yard.served().values()) == {(1, bundle.digest)}
    with Ledger(yard.open().ledger) as ledger:
        said = [event["what"] for event in ledger.events(1) if event["device"] == "dev-1"]
    assert said == ["sending", "live", "waiting", "sending", "live"]


def test_a_dry_run_says_what_every_device_would_get_and_changes_none(yard: Yard) -> None:
    yard.write({"all": yard.bakery.bundle(score=0.5)})
    fleet = yard.open()
    found = plans(fleet, releases(fleet, Silent()))
    assert [(plan.device, plan.wave) for plan in found] == [("dev-1", "canary"), ("dev-2", "rest"), ("dev-3", "rest")]
    assert all(plan.steps and not plan.refused for plan in found)
    assert set(yard.served().values()) == {(0, "")}
    assert {now.state for now in statuses(fleet)} == {"empty"}
    assert {item.state for item in roll_back(fleet)} == {LEFT}


def test_a_device_that_falls_while_the_wave_bakes_pauses_the_rollout(yard: Yard) -> None:
    yard.rollout["waves"] = [{"name": "canary", "select": "group=canary", "bake_s": 0.3}]

    def tell(standing, row) -> None:
        if row is None and standing.waves[0].settled and not standing.waves[0].passed:
            install.stop(Layout(str(yard.roots["dev-1"])), {})

    found = yard.deploy(yard.bakery.bundle(score=0.5), tell=tell)
    assert (found.rollout.state, found.counts) == ("paused", {"failed": 1, "waiting": 2})
    assert "After the bake time its service does not answer" in found.devices[0].told.detail


def test_a_release_that_crashes_after_its_commit_is_told_with_the_reason(yard: Yard) -> None:
    good, crutch = yard.bakery.bundle(score=0.5), yard.folder / "crutch"
    bad = yard.bakery.bundle(score=0.5, needs_file=str(crutch))
    yard.devices = {"dev-1": yard.devices["dev-1"]}
    yard.serve = {"bake_s": 0, "tries": 2}
    yard.rollout["waves"] = [{"name": "canary", "bake_s": 0.3}]
    crutch.touch()
    assert yard.deploy(good).rollout.state == "complete"
    layout = Layout(str(yard.roots["dev-1"]))

    def tell(standing, row) -> None:
        if row is None and standing.waves[0].settled and not standing.waves[0].passed:
            crutch.unlink()
            os.kill(install.status(layout, {})["pid"], signal.SIGKILL)
            while not (install.status(layout, {})["reverted"] and Serving(layout).health()):
                time.sleep(0.05)

    found = yard.deploy(bad, tell=tell)
    assert (found.rollout.state, found.counts) == ("paused", {"failed": 1})
    back = (
        f"went back from 2-{bad.digest[:12]} to 1-{good.digest[:12]} by itself: 2 starts of 2-{bad.digest[:12]} failed"
    )
    assert f"After the bake time it serves another release: it {back}" in found.devices[0].told.detail
    (now,) = statuses(yard.open())
    assert (now.state, now.digest) == ("serving", good.digest) and f"It {back}" in now.reason

    theirs = {"owner": "somebody@else", "token": "t", "host": "h", "process": "1:1"}
    install.leased(layout, {"lease": theirs})
    assert [now.operator for now in statuses(yard.open())] == ["somebody@else"]
    install.leased(layout, {"lease": theirs, "end": True})
    found = yard.deploy(good, tell=lambda *_: None)
    assert found.devices[0].told.unchanged and not found.devices[0].told.detail


def test_a_release_that_is_slower_than_predicted_pauses_the_rollout(yard: Yard) -> None:
    bundle = yard.bakery.bundle(score=0.5)
    canary = {"name": "canary", "select": "group=canary", "success": {"p95_times": 2}}
    yard.rollout["waves"] = [canary, {"name": "others"}]
    yard.write({}, release={"bundle": str(bundle.path), "p95_ms": 0.001})
    fleet = yard.open()
    found = hub.carry_out(fleet, releases(fleet, Silent()))
    assert found.rollout.state == "paused" and "times the predicted one" in found.rollout.reason
    row = found.devices[0]
    assert row.state == "live" and row.told.p95_ms and row.told.times == pytest.approx(row.told.p95_ms / 0.001)
    yard.devices["dev-4"] = {"address": "local", "root": str(yard.roots["dev-1"].with_name("dev-4"))}
    yard.roots["dev-4"] = yard.roots["dev-1"].with_name("dev-4")
    del yard.devices["dev-3"]
    yard.write({}, release={"bundle": str(bundle.path), "p95_ms": 0.001})
    fleet = yard.open()
    found = hub.carry_out(fleet, releases(fleet, Silent()), resume=True)
    assert (found.rollout.state, [row.device for row in found.devices]) == ("complete", ["dev-1", "dev-2", "dev-4"])
    assert found.devices[2].wave == 1, "a device that is new joins the wave of the others"
