"""A fleet of real SSH servers: some are off, some are of another kind, and one hub is killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from board import Bakery
from fleets import Yard
from sshd import Sshd

from edgewright.core.record import canonical
from edgewright.pipeline.bundle import write_bundle
from edgewright.pipeline.fleet.field import statuses

pytestmark = pytest.mark.slow


@pytest.fixture
def behind_ssh(tmp_path: Path, bakery: Bakery) -> Iterator[tuple[Yard, list[Sshd]]]:
    yard = Yard(tmp_path, bakery)
    servers = [Sshd(tmp_path / name) for name in yard.roots]
    yard.roots = {name: server.home / ".edgewright" for name, server in zip(yard.roots, servers, strict=True)}
    for (name, entry), server in zip(yard.devices.items(), servers, strict=True):
        yard.devices[name] = {**{k: v for k, v in entry.items() if k != "root"}, "address": server.reach()}
    yard.rollout["attempts"] = 1
    yield yard, servers
    yard.end()
    for server in servers:
        server.stop()


def test_a_device_that_was_off_is_caught_up_by_the_next_run(behind_ssh: tuple[Yard, list[Sshd]]) -> None:
    yard, servers = behind_ssh
    bundle = yard.bakery.bundle(score=0.5)
    servers[2].kill()
    first = yard.deploy(bundle)
    assert (first.rollout.state, first.counts) == ("incomplete", {"live": 2, "offline": 1})
    assert "cannot be reached" in first.devices[2].told.detail
    assert [now.state for now in statuses(yard.open())] == ["serving", "serving", "offline"]

    servers[2].start()
    second = yard.deploy(bundle)
    assert (second.rollout.id, second.rollout.state) == (first.rollout.id, "complete")
    assert yard.committed() == dict.fromkeys(yard.roots, 1), "those that were reached are not asked for more"
    assert {digest for _, digest in yard.served().values()} == {bundle.digest}


def test_a_device_of_another_kind_is_refused_before_a_byte_is_sent(behind_ssh: tuple[Yard, list[Sshd]]) -> None:
    yard, _ = behind_ssh
    fits = yard.bakery.bundle(score=0.5)
    files: dict[str, Path | bytes] = {name: fits.blob(digest) for name, digest in fits.files.items()}
    files["needs.json"] = canonical(replace(fits.needs, machine="sparc64"))
    other = write_bundle(files, {}, "tiny", yard.folder / "other")
    yard.devices["dev-3"]["target"] = "elsewhere"
    for name in ("dev-1", "dev-2"):
        yard.devices[name]["target"] = "here"
    found = yard.deploy_each({"here": fits, "elsewhere": other})
    assert [row.state for row in found.devices] == ["live", "live", "failed"]
    assert "sparc64" in found.devices[2].told.detail
    assert not (yard.roots["dev-3"] / "incoming").exists() and not (yard.roots["dev-3"] / "blobs").exists()
