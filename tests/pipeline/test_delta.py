"""What goes over the wire to a device behind a real SSH server, when most of a release is there already."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board import Bakery
from proxy import Proxy
from sshd import Sshd

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.record import canonical, digest_of
from edgewright.device.durable import sha256_of
from edgewright.device.release import parse_manifest
from edgewright.pipeline import delta as deltas
from edgewright.pipeline.bundle import Bundle, Needs, write_bundle
from edgewright.pipeline.delta import Delta, bases, deltas_for, made, remember
from edgewright.pipeline.deploy import Release, deploy
from edgewright.pipeline.device_program import operate
from edgewright.store.cache import Store
from edgewright.transports.ssh import MEMBER

WEIGHTS = 1_500_000
LABELS = [f"class number {n} of a long list" for n in range(600)]
UNCHANGED_LIMIT = 10_000


class Wire:
    """A device behind a proxy that counts what is sent, and a store that releases go out of."""

    def __init__(self, folder: Path, device: Sshd, proxy: Proxy, bakery: Bakery) -> None:
        self.folder, self.device, self.proxy, self.bakery = folder, device, proxy, bakery
        self.store = Store(folder / "store")
        self.root = device.home / ".edgewright"

    def bundle(self, weights: bytes, labels: list[str] | None = None) -> Bundle:
        """The tiny service with a file of weights."""
        plain = self.bakery.bundle()
        manifest = parse_manifest(plain.blob(plain.digest).read_bytes())
        config = json.loads(plain.blob(manifest.config.digest).read_bytes())
        files: dict[str, Path | bytes] = {path: plain.blob(digest) for path, digest in plain.files.items()}
        service, needs = dict(plain.card("service.json")), dict(plain.card("needs.json"))
        service["task"] = {**service["task"], "labels": [*service["task"]["labels"], *(labels or LABELS)]}
        needs |= {"labels": len(service["task"]["labels"]), "labels_digest": digest_of(service["task"]["labels"])}
        files |= {"service.json": canonical(service), "needs.json": canonical(needs), "model/weights.bin": weights}
        return write_bundle(files, config, plain.name, self.folder / f"bundle-{digest_of(weights.hex(), labels)[:12]}")

    def deploy(self, bundle: Bundle, damage: bool = False) -> tuple[Release, int]:
        """The release, and the bytes that went up the wire for all of it, the connection's own included."""

        async def go() -> Release:
            link = await MEMBER.open(self.device.reach(port=self.proxy.port))
            try:
                way: Any = Damaging(link, self.folder) if damage else link
                return await deploy(bundle, TargetConfig(), ServeConfig(bake_s=0), way, store=self.store)
            finally:
                await link.close()

        before = self.proxy.up
        release = asyncio.run(go())
        return release, self.proxy.up - before

    def assert_whole(self, bundle: Bundle) -> None:
        for path, digest in bundle.files.items():
            assert sha256_of(str(self.root / "current" / path)) == digest, path
        assert not list((self.root / "incoming").iterdir())


class Damaging:
    """A link on which one bit of every delta is flipped."""

    def __init__(self, link: Link, folder: Path) -> None:
        self._link, self._folder = link, folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def put(self, local: Path, remote: str) -> None:
        if remote.endswith(".delta"):
            data = bytearray(local.read_bytes())
            data[len(data) // 2] ^= 1
            local = self._folder / "damaged"
            local.write_bytes(data)
        await self._link.put(local, remote)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory, bakery: Bakery) -> Iterator[Wire]:
    device = Sshd(tmp_path_factory.mktemp("device"))
    with Proxy(device.port) as proxy:
        device.trust(proxy.port)
        found = Wire(tmp_path_factory.mktemp("host"), device, proxy, bakery)
        try:
            yield found
        finally:
            asyncio.run(_stop(device))
            device.stop()


async def _stop(device: Sshd) -> None:
    link = await MEMBER.open(device.reach())
    await operate(link, "stop", {})
    await link.close()


@pytest.fixture(scope="module")
def weights() -> Any:
    return np.clip(np.random.default_rng(0).normal(0, 25, WEIGHTS).round(), -127, 127).astype(np.int8)


@pytest.mark.slow
def test_only_what_differs_goes_over_the_wire(wire: Wire, weights: Any) -> None:
    """One device, release after release: the first, the same again, a new head, an INT8 fine-tune, new labels, and a
    delta that is damaged on its way."""
    random = np.random.default_rng(1)
    first = wire.bundle(weights.tobytes())
    release, sent = wire.deploy(first)
    assert WEIGHTS < release.sent_bytes < first.size and release.sent_bytes < sent < 1.1 * release.sent_bytes + 300_000
    wire.assert_whole(first)

    again, sent = wire.deploy(first)
    assert again.unchanged and sent < UNCHANGED_LIMIT, f"{sent} bytes for nothing"

    head = weights.copy()
    head[-WEIGHTS // 50 :] = random.integers(-127, 128, WEIGHTS // 50)
    second = wire.bundle(head.tobytes())
    release, sent = wire.deploy(second)
    assert release.sent_bytes < 0.03 * WEIGHTS and sent < 0.06 * WEIGHTS
    wire.assert_whole(second)

    tuned = (head + (random.random(WEIGHTS) < 0.15) * random.choice([-1, 1], WEIGHTS)).clip(-127, 127).astype(np.int8)
    third = wire.bundle(tuned.tobytes())
    release, sent = wire.deploy(third)
    assert release.sent_bytes < 0.2 * WEIGHTS and sent < 0.25 * WEIGHTS
    wire.assert_whole(third)

    labels = [*LABELS[:300], "helmet", *LABELS[301:]]
    fourth = wire.bundle(tuned.tobytes(), labels)
    release, sent = wire.deploy(fourth)
    changed = sum(size for digest, size in fourth.sizes.items() if digest not in third.sizes)
    assert release.sent_bytes < 0.2 * changed and sent < 60_000
    wire.assert_whole(fourth)

    fifth = wire.bundle(weights.tobytes(), labels)
    release, sent = wire.deploy(fifth, damage=True)
    assert release.sent_bytes > WEIGHTS and release.digest == fifth.digest, "what was damaged is sent whole"
    wire.assert_whole(fifth)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _blobs(folder: Path, *contents: bytes) -> list[Path]:
    paths = []
    for content in contents:
        path = folder / digest_of(content.hex())
        path.write_bytes(content)
        paths.append(path)
    return paths


def test_a_delta_is_made_once_for_all_devices_that_ask_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, target = _blobs(tmp_path, bytes(9000), bytes(9000) + b"x")
    calls, write = [], deltas._write
    monkeypatch.setattr(deltas, "_write", lambda *words: (calls.append(threading.get_ident()), write(*words)))

    async def ask() -> list[Delta]:
        return await asyncio.gather(*(made(store, base, target, "x") for _ in range(20)))

    answers = asyncio.run(ask()) + asyncio.run(ask())
    assert len(calls) == 1 and {answer.size for answer in answers} == {answers[0].path.stat().st_size}
    answers[0].path.unlink()
    assert asyncio.run(ask())[0].path.is_file() and len(calls) == 2, "one that was lost is made again"


def test_a_delta_over_four_fifths_of_the_file_is_not_sent(store: Store, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    base, target = _blobs(tmp_path, random.bytes(5000), random.bytes(5000))
    found = asyncio.run(made(store, base, target, "x"))
    assert not found.worth and not found.path.exists()


def test_large_files_are_compared_in_a_process_of_its_own(store: Store, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(2 << 20)
    base, target = _blobs(tmp_path, content, content[: 1 << 20] + b"inserted" + content[1 << 20 :])
    found = asyncio.run(made(store, base, target, "z"))
    assert found.worth and found.size < 5000 and found.full == len(content) + 8


def _bundle(files: dict[str, str], digest: str) -> Bundle:
    sizes = dict.fromkeys((*files.values(), digest, f"config of {digest}"), 10_000)
    return Bundle(Path("nowhere"), digest, 0, files, sizes, Needs(), "", "", "")


def test_a_file_is_compared_with_the_one_in_its_place() -> None:
    old = _bundle({"model/a.bin": "a1", "model/a.xml": "x1", "app/task.py": "t1"}, "m1")
    new = _bundle({"model/b.bin": "b2", "model/a.xml": "x2", "app/task.py": "t1", "golden/g.npz": "g2"}, "m2")
    assert bases(new, old, ["b2", "x2", "g2", "m2"]) == {"b2": "a1", "x2": "x1", "m2": "m1"}
    assert bases(new, old, ["config of m2"]) == {"config of m2": "config of m1"}


def test_a_release_that_did_not_go_out_from_here_gives_no_deltas(store: Store) -> None:
    new = _bundle({"model/b.bin": "b2"}, "m2")
    assert asyncio.run(deltas_for(store, new, "m1", ["b2"], "x")) == {}
    remember(store, _bundle({"model/a.bin": "a1"}, "m1"))  # its folder is gone
    assert asyncio.run(deltas_for(store, new, "m1", ["b2"], "x")) == {}
    assert asyncio.run(deltas_for(store, new, "m1", ["b2"], "")) == {}, "nor does a device that unpacks none"
