"""The hub on real device folders: what is delivered, paused, caught up, and never done twice."""

from __future__ import annotations

from fleets import Yard


def test_a_release_reaches_every_device_wave_by_wave(yard: Yard) -> None:
    bundle, order = yard.bakery.bundle(score=0.5), []
    found = yard.deploy(bundle, tell=lambda _, row: order.append((row.device, row.state)) if row else None)
    assert found.rollout.state == "complete"
    assert yard.served() == dict.fromkeys(yard.roots, (1, bundle.digest))
    assert order[:2] == [("dev-1", "sending"), ("dev-1", "live")]
    assert {row.told.sent_bytes for row in found.devices} == {bundle.size}
