"""A device folder of this machine under test: deploys tiny services to it and looks at what is there."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import tiny

from edgewright.core.config import GoalConfig, ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.device.durable import sha256_of
from edgewright.device.release import Layout, parse_manifest
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.deploy import Release, deploy
from edgewright.pipeline.golden import Golden, record_golden
from edgewright.pipeline.pack import pack
from edgewright.store.cache import Store
from edgewright.transports.local import MEMBER


class Bakery:
    """Packed tiny services, each made once for all tests: recording golden samples starts a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = Store(folder / "store")
        self._baked: dict[str, tuple[Bundle, Golden]] = {}
        self.dataset = tiny.dataset(folder / "pictures")

    def bundle(self, goal: GoalConfig | None = None, golden_of: Bundle | None = None, **model: Any) -> Bundle:
        """`golden_of` takes the golden samples of another bundle instead of its own."""
        key = repr((goal, golden_of and golden_of.digest, sorted(model.items())))
        if key not in self._baked:
            self._baked[key] = asyncio.run(self._bake(len(self._baked), goal, golden_of, model))
        return self._baked[key][0]

    async def _bake(
        self, number: int, goal: GoalConfig | None, golden_of: Bundle | None, model: dict[str, Any]
    ) -> tuple[Bundle, Golden]:
        artifact = tiny.artifact(self._folder / f"artifact-{number}", **model)
        if golden_of is None:
            link = await MEMBER.open("local", root=str(self._folder / "device"))
            golden = await record_golden(self._store, artifact, self.dataset, link)
            await link.close()
        else:
            golden = next(g for b, g in self._baked.values() if b.digest == golden_of.digest)
        return pack(artifact, tiny.DECISION, golden, self._folder / f"bundle-{number}", goal=goal), golden


class Board:
    """`store` is a store of its own; the device is `devices/local` in it."""

    def __init__(self, folder: Path, bakery: Bakery) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.root = self.store.root / "devices" / "local"
        self.layout = Layout(str(self.root))
        self.bundle, self.dataset = bakery.bundle, bakery.dataset

    async def link(self) -> Link:
        return await MEMBER.open("local", root=str(self.root))

    def settings(self) -> dict[str, Any]:
        """What `deploy` has the installer remember of `serve:`."""
        return {**ServeConfig(bake_s=0).model_dump(exclude={"wheels"}), "manager": "supervisor"}

    def deploy(self, bundle: Bundle, link: Link | None = None, **serve: Any) -> Release:
        async def go() -> Release:
            settings = ServeConfig(**{"bake_s": 0, **serve})
            return await deploy(bundle, TargetConfig(), settings, link or await self.link())

        return asyncio.run(go())

    def names(self) -> tuple[str | None, str | None]:
        """What `current` and `previous` name."""
        return self.layout.linked(self.layout.current), self.layout.linked(self.layout.previous)

    def assert_whole(self) -> None:
        """Every linked release has exactly its manifest's files, each with its digest."""
        for name in self.names():
            if name is None:
                continue
            own = self.layout.describe(name)
            assert own is not None
            manifest = parse_manifest(Path(self.layout.blob(own["digest"])).read_bytes())
            folder = Path(self.layout.folder(name))
            there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
            assert there == {layer.path for layer in manifest.layers} | {"release.json"}
            for layer in manifest.layers:
                assert sha256_of(str(folder / layer.path)) == layer.digest, layer.path

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self.layout.journal).read_text().splitlines()]


def ask(url: str, data: bytes | None = None, kind: str = "", method: str | None = None) -> tuple[int, bytes]:
    """Status and body of a request, whatever the status."""
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def health(url: str) -> dict[str, Any]:
    return dict(json.loads(ask(url + "/healthz")[1]))
