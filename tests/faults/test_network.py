"""A network that cuts, stalls, swallows and corrupts, between a whole `deploy` and a real SSH server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from board import Bakery, Board
from faulty import assert_one_whole_release
from proxy import Proxy
from sshd import Sshd

from edgewright import transports
from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.errors import DeviceError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.deploy import Release, deploy
from edgewright.pipeline.stop import stop
from edgewright.transports import lines, remote_link, sftp
from edgewright.transports.ssh import settings

pytestmark = pytest.mark.slow
MIB = 1 << 20
LARGE = 6


class SshBoard(Board):
    """The board behind a real SSH server and, if there is one, a proxy."""

    def __init__(self, folder: Path, bakery: Bakery, device: Sshd) -> None:
        super().__init__(folder, bakery)
        self.device = device

    def deploy_over(self, bundle: Bundle, port: int = 0, patience_s: float = 240.0, **options: str) -> Release:
        async def go() -> Release:
            link = await transports.get("ssh").open(self.device.reach("ssh", port, **options), root=str(self.root))
            try:
                return await deploy(bundle, TargetConfig(), ServeConfig(bake_s=0, manager="supervisor"), link)
            finally:
                await link.close()

        return asyncio.run(asyncio.wait_for(go(), patience_s))


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    found = Sshd(tmp_path_factory.mktemp("device"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory, bakery: Bakery, device: Sshd) -> Iterator[SshBoard]:
    """A device that serves a release, and one before it."""
    found = SshBoard(tmp_path_factory.mktemp("far"), bakery, device)
    for score in (0.3, 0.5):
        found.deploy_over(found.bundle(score=score))
    yield found
    stop(found.store)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_link, "PAUSES_S", (0.05,) * 5)
    monkeypatch.setenv("HOME", os.devnull)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def large(board: Board, seed: int) -> Bundle:
    """A release with a few MiB that no other has."""
    return board.bundle(score=0.4, weights=hashlib.shake_256(str(seed).encode()).hexdigest(LARGE * MIB // 2))


def serving_bundle(board: Board, *among: Bundle) -> Bundle:
    return next(bundle for bundle in among if (board.names()[0] or "").endswith(bundle.digest[:12]))


@pytest.mark.fault(
    "F7 the connection is cut at every MiB of an upload",
    outcome="the upload goes on where it was cut, and the release goes live",
)
def test_cut_at_every_mib(far: SshBoard, injected: Callable[[int], None]) -> None:
    bundle = large(far, 1)
    with Proxy(far.device.port) as proxy:
        far.device.trust(proxy.port)
        proxy.up, proxy.cut_after = 0, [MIB] * (LARGE - 1)
        release = far.deploy_over(bundle, proxy.port)
        assert proxy.cuts == LARGE - 1 and release.digest == bundle.digest
    assert_one_whole_release(far, bundle)
    injected(LARGE - 1)


@pytest.mark.fault("F7 one byte of an upload is changed on its way", outcome="it is sent again; the release goes live")
def test_a_changed_byte(far: SshBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KEEPALIVE_S", 1)
    bundle = large(far, 2)
    with Proxy(far.device.port) as proxy:
        far.device.trust(proxy.port)
        proxy.up, proxy.corrupt_after = 0, 3 * MIB
        assert far.deploy_over(bundle, proxy.port).digest == bundle.digest
        assert proxy.corrupt_after is None
    assert_one_whole_release(far, bundle)


@pytest.mark.fault(
    "F7 the network goes silent in the middle of an upload (stalled, or a black hole)",
    outcome="it ends with an error in bounded time, the old release serves on, and the next deployment sends the rest",
)
@pytest.mark.parametrize("fault", ["stalled", "black_hole"])
def test_silence(far: SshBoard, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    for module, name, value in (
        (sftp, "TIMEOUT_S", 1.0), (lines, "OPEN_S", 1.0), (lines, "PAUSES_S", (0.05,)),
        (remote_link, "PAUSES_S", (0.05,)), (settings, "CONNECT_S", 1), (settings, "LOGIN_S", 1),
        (settings, "KEEPALIVE_S", 1),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    serves, bundle, before = current_bundle(far), large(far, 3 if fault == "stalled" else 4), far.names()
    with Proxy(far.device.port) as proxy:
        far.device.trust(proxy.port)
        silenced = SilencedAfter(proxy, fault, 2 * MIB)
        with silenced, pytest.raises(DeviceError, match=r"cannot be reached|did not"):
            far.deploy_over(bundle, proxy.port)
    assert far.names() == before
    assert_one_whole_release(far, serves)
    release = far.deploy_over(bundle)
    assert release.digest == bundle.digest
    assert_one_whole_release(far, bundle)


class SilencedAfter:
    """Makes a proxy silent once so many bytes were sent up."""

    def __init__(self, proxy: Proxy, fault: str, size: int) -> None:
        self._proxy, self._fault, self._size, self._over = proxy, fault, size, False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._proxy.up = 0
        self._thread.start()

    def __exit__(self, *_: Any) -> None:
        self._over = True
        self._thread.join()
        self._proxy.stalled = self._proxy.black_hole = False

    def _watch(self) -> None:
        while not self._over and self._proxy.up < self._size:
            time.sleep(0.001)
        setattr(self._proxy, self._fault, True)


def current_bundle(board: Board) -> Bundle:
    known = [
        *(board.bundle(score=score) for score in (0.3, 0.35, 0.45, 0.5)),
        *(large(board, seed) for seed in (1, 2, 3, 4)),
    ]
    return serving_bundle(board, *known)


@pytest.mark.fault(
    "F7 the connection is cut while the installer works",
    outcome="the error says so, one whole release serves, and the next deployment succeeds",
)
def test_cut_while_installing(far: SshBoard) -> None:
    serves, bundle = current_bundle(far), far.bundle(score=0.35)
    lines_before, over = len(far.journal()), False
    with Proxy(far.device.port) as proxy:
        far.device.trust(proxy.port)

        def cut() -> None:
            while not over and len(far.journal()) < lines_before + 3:
                time.sleep(0.01)
            proxy.refuse = 1 << 20
            proxy.cut()

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        try:
            with pytest.raises(DeviceError):
                far.deploy_over(bundle, proxy.port)
        finally:
            over = True
            thread.join()
    assert_one_whole_release(far, serves, bundle)
    assert far.deploy_over(bundle).digest == bundle.digest
    assert_one_whole_release(far, bundle)
    far.deploy_over(far.bundle(score=0.5))


@pytest.mark.fault(
    "F20 the device is met with another host key", outcome="refused before a byte is sent; the old release serves on"
)
def test_another_host_key(far: SshBoard, tmp_path: Path) -> None:
    serves, before = current_bundle(far), far.names()
    other = Sshd(tmp_path / "other")
    try:
        known = tmp_path / "known_hosts"
        known.write_text(other.known_hosts.read_text().replace(f":{other.port}", f":{far.device.port}"))
        with pytest.raises(DeviceError, match="key"):
            far.deploy_over(far.bundle(score=0.4), known_hosts=str(known))
    finally:
        other.stop()
    assert far.names() == before
    assert_one_whole_release(far, serves)


@pytest.mark.fault(
    "F20 the device drops connections at the door (MaxStartups)", outcome="it is asked again, and the release goes live"
)
def test_dropped_at_the_door(far: SshBoard) -> None:
    bundle = far.bundle(score=0.45)
    with Proxy(far.device.port) as proxy:
        far.device.trust(proxy.port)
        proxy.refuse = 2
        assert far.deploy_over(bundle, proxy.port).digest == bundle.digest
    assert_one_whole_release(far, bundle)


@pytest.mark.fault(
    "F20 the operator's key is not to be had: no agent, no file", outcome="told before a byte is sent; nothing changes"
)
def test_no_key(far: SshBoard) -> None:
    before, serves = far.names(), current_bundle(far)
    with pytest.raises(DeviceError, match="key"):
        far.deploy_over(far.bundle(score=0.4), identity="")
    assert far.names() == before
    assert_one_whole_release(far, serves)
