"""A fleet of real SSH servers: some are off, some are of another kind, some miss a release altogether, and the hub is
killed while they are at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from board import Bakery
from fleets import Yard
from proxy import Proxy
from sshd import Sshd

from edgewright.core.record import canonical
from edgewright.pipeline.bundle import write_bundle
from edgewright.pipeline.fleet.field import statuses
from edgewright.pipeline.fleet.ledger import Ledger

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


def test_a_hub_that_is_killed_while_devices_install_is_resumed(behind_ssh: tuple[Yard, list[Sshd]]) -> None:
    """kill -9 of the hub's process, once while the canary installs, once while the rest receive; the devices' own
    journals say how often each was changed."""
    yard, _ = behind_ssh
    bundle = yard.bakery.bundle(score=0.5)
    yard.write({"all": bundle})
    journal, incoming = yard.roots["dev-1"] / "journal.jsonl", [yard.roots[f"dev-{n}"] / "incoming" for n in (2, 3)]
    _killed_when(yard, lambda: journal.is_file() and '"received"' in journal.read_text())
    assert set(_states(yard).values()) == {"sending", "waiting"}
    _killed_when(yard, lambda: all(folder.is_dir() for folder in incoming))
    assert _states(yard)["dev-1"] == "live" and "sending" in _states(yard).values()

    done = yard.deploy(bundle)
    assert (done.rollout.id, done.rollout.state, done.counts) == (1, "complete", {"live": 3})
    assert yard.committed() == dict.fromkeys(yard.roots, 1), "none was changed twice, none was forgotten"
    assert {now.device: (now.state, now.digest) for now in statuses(yard.open())} == dict.fromkeys(
        yard.roots, ("serving", bundle.digest)
    )


def test_a_device_that_was_off_for_two_releases_gets_the_newest_alone(behind_ssh: tuple[Yard, list[Sshd]]) -> None:
    yard, servers = behind_ssh
    first, second = yard.bakery.bundle(score=0.5), yard.bakery.bundle(score=0.55)
    servers[2].kill()
    assert yard.deploy(first).counts == {"live": 2, "offline": 1}
    assert yard.deploy(second).counts == {"live": 2, "offline": 1}
    servers[2].start()
    done = yard.deploy(second)
    assert (done.rollout.id, done.rollout.state) == (2, "complete")
    assert yard.committed() == {"dev-1": 2, "dev-2": 2, "dev-3": 1}
    assert {digest for _, digest in yard.served().values()} == {second.digest}
    assert first.digest[:12] not in (yard.roots["dev-3"] / "journal.jsonl").read_text(), "it never heard of the first"
    with Ledger(yard.open().ledger) as ledger:
        assert [ledger.rollout(number).state for number in (1, 2)] == ["superseded", "complete"]


def test_a_dead_and_a_slow_device_hold_nobody_up(behind_ssh: tuple[Yard, list[Sshd]]) -> None:
    """The dead one takes connections and says nothing, the slow one gets 10 kB a second; a thousand devices of which
    one in ten is such are `make bench-fleet`."""
    yard, servers = behind_ssh
    bundle = yard.bakery.bundle(score=0.5)
    yard.rollout |= {"timeout_s": 15, "concurrency": 3}
    yard.rollout["waves"] = [{"name": "all", "errors": {"max": 1}, "success": {"percent": 50}}]
    with Proxy(servers[1].port) as hole:
        hole.black_hole = True
        servers[1].trust(hole.port)
        yard.devices["dev-2"]["address"] = servers[1].reach(port=hole.port)
        yard.devices["dev-3"]["address"] = servers[2].reach(bandwidth="10k")
        began = time.monotonic()
        found = yard.deploy(bundle)
        assert [row.state for row in found.devices] == ["live", "offline", "failed"]
        assert found.devices[0].since < min(row.since for row in found.devices[1:]), "it was not waited for"
        assert "It took over 15 s" in found.devices[2].told.detail
        assert found.rollout.state == "incomplete" and time.monotonic() - began < 60, "one attempt is all they get"

        hole.black_hole = False
        yard.devices["dev-3"]["address"] = servers[2].reach()
        assert yard.deploy(bundle, resume=True).counts == {"live": 3}
    assert yard.committed() == dict.fromkeys(yard.roots, 1)


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


def _killed_when(yard: Yard, moment: Callable[[], bool]) -> None:
    """A hub in a process of its own, as an operator starts it; SIGKILL at that moment."""
    argv = [sys.executable, "-c", "from edgewright.cli import main; main()", "deploy", str(yard.what), "--yes"]
    environment = {**os.environ, "EDGEWRIGHT_HOME": str(yard.home)}
    with (yard.folder / "hub.log").open("w") as log:
        hub = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not moment():
        said = (yard.folder / "hub.log").read_text
        assert hub.poll() is None, f"the hub came to its end: {said()}"
        assert time.monotonic() < deadline, said()
        time.sleep(0.005)
    hub.send_signal(signal.SIGKILL)
    assert hub.wait() == -signal.SIGKILL


def _states(yard: Yard) -> dict[str, str]:
    with Ledger(yard.open().ledger) as ledger:
        return {row.device: row.state for row in ledger.rows(1)}
