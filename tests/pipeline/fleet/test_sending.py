"""What becomes of a device that a release is sent to when the network, its power or another operation is in the way."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path
from typing import Any

import pytest
from fleets import Yard

from edgewright.core.config import TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.device.release import Layout
from edgewright.pipeline.device_program import Busy
from edgewright.pipeline.fleet import devices as acts
from edgewright.pipeline.fleet.devices import Result
from edgewright.pipeline.fleet.releases import FleetRelease
from edgewright.pipeline.fleet.rollout import FAILED, LIVE, OFFLINE
from edgewright.store.cache import Store


async def _send(yard: Yard) -> Result:
    fleet = yard.open("name=dev-1")
    return await acts.send(fleet, fleet.devices[0], FleetRelease("all", yard.bakery.bundle(score=0.5)))


def test_an_installation_that_outlived_its_connection_is_waited_for(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the installer's lock on the device, and the host that began it has lost sight of it."""
    yard.rollout["attempts"] = 1
    monkeypatch.setattr(acts, "BUSY_S", 0.05)
    yard.write({"all": yard.bakery.bundle(score=0.5)})
    Layout(str(yard.roots["dev-1"])).make()
    deploy, tried = acts.deploy, list[Path]()

    async def go() -> Result:
        with (yard.roots["dev-1"] / "install.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

            async def met(*given: Any, **named: Any) -> Any:
                try:
                    return await deploy(*given, **named)
                except Busy:
                    tried.append(yard.what)
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    raise

            monkeypatch.setattr(acts, "deploy", met)
            return await _send(yard)

    done = asyncio.run(go())
    assert (done.state, done.told.attempts, len(tried)) == (LIVE, 1, 1), done.told.detail
    assert yard.served()["dev-1"] == (1, yard.bakery.bundle(score=0.5).digest)


def test_a_device_that_is_busy_for_longer_than_an_attempt_may_take_is_caught_up_later(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.rollout["timeout_s"] = 0.3
    yard.write({"all": yard.bakery.bundle(score=0.5)})
    monkeypatch.setattr(acts, "BUSY_S", 0.01)
    met = list[str]()

    async def busy(*given: Any, **named: Any) -> Any:
        met.append("busy")
        raise Busy("Another installation is at work on this device.", "Wait for it to end.")

    monkeypatch.setattr(acts, "deploy", busy)
    done = asyncio.run(_send(yard))
    assert done.state == OFFLINE and "Another installation" in done.told.detail
    assert 3 < len(met) < 40, "with growing pauses"


@pytest.mark.parametrize(("comes_back", "state"), [(False, OFFLINE), (True, FAILED)])
def test_a_board_that_loses_power_in_mid_upload_is_offline_and_has_not_failed(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, comes_back: bool, state: str
) -> None:
    yard.write({"all": yard.bakery.bundle(score=0.5)})
    connect, connections = acts.connect_in, list[str]()

    async def cut(local: Path, remote: str) -> None:
        raise DeviceError("The connection is lost.", "Try again.")

    async def connect_in(store: Store, target: TargetConfig) -> Link:
        connections.append(target.name)
        if len(connections) > 1 and not comes_back:
            raise DeviceError("dev-1 cannot be reached.", "Is it on?")
        link: Any = await connect(store, target)
        link.put = cut
        return link

    monkeypatch.setattr(acts, "connect_in", connect_in)
    done = asyncio.run(_send(yard))
    assert (done.state, len(connections)) == (state, 2)


def test_the_bake_time_on_the_device_comes_on_top_of_an_attempt_s_time(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.rollout |= {"timeout_s": 0.05, "attempts": 1}
    yard.serve = {"bake_s": 1}
    yard.write({"all": yard.bakery.bundle(score=0.5)})

    async def baking(*given: Any, **named: Any) -> Any:
        await asyncio.sleep(0.4)
        raise DeviceError("It has baked.", "")

    monkeypatch.setattr(acts, "deploy", baking)
    assert "It has baked" in asyncio.run(_send(yard)).told.detail
