"""The lease of a device over all that an operator does there: kept while it takes long, given back when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from board import Board

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.contracts import Link
from edgewright.core.errors import DeviceError
from edgewright.device import install, lease
from edgewright.pipeline import lease as ours
from edgewright.pipeline.deploy import deploy
from edgewright.pipeline.device_program import Leased

BEN = {"owner": "ben@laptop", "token": "b", "host": "laptop", "process": None}
LONG_S = 20.0
"""Only a test that fails takes so long."""


class Slow:
    """A link on which the first file of a release takes until `during` is over."""

    def __init__(self, link: Link, during: Callable[[], Awaitable[None]]) -> None:
        self._link, self._during, self._begun = link, during, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def put(self, local: Path, remote: str) -> None:
        if "/incoming/" in remote and not self._begun:
            self._begun = True
            await self._during()
        await self._link.put(local, remote)


def _deploy(board: Board, during: Callable[[], Awaitable[None]]) -> None:
    bundle = board.bundle()

    async def go() -> None:
        link: Any = Slow(await board.link(), during)
        async with asyncio.timeout(LONG_S):
            await deploy(bundle, TargetConfig(), ServeConfig(bake_s=0), link)

    asyncio.run(go())


def test_the_lease_is_renewed_while_one_file_takes_long(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "RENEW_S", 0.01)

    async def until_renewed() -> None:
        first = (lease.holder(board.layout) or {})["until"]
        while (lease.holder(board.layout) or {})["until"] == first:
            await asyncio.sleep(0.01)
        raise DeviceError("Enough is seen.", "")

    with pytest.raises(DeviceError, match="Enough is seen"):
        _deploy(board, until_renewed)
    assert lease.holder(board.layout) is None


def test_who_loses_the_lease_stops_sending_and_installs_nothing(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "RENEW_S", 0.01)
    ended = []

    async def taken_over() -> None:
        while True:  # a renewal may be at work just now
            try:
                install.leased(board.layout, {"lease": {**BEN, "take_over": True}})
                break
            except install.Busy:
                await asyncio.sleep(0.01)
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("sending")

    with pytest.raises(Leased, match="ben@laptop is at work"):
        _deploy(board, taken_over)
    assert ended == ["sending"] and not Path(board.layout.journal).exists()
    assert (lease.holder(board.layout) or {})["owner"] == "ben@laptop", "theirs is not given back"


def test_a_renewal_never_meets_our_own_operations(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer would say of either that another installation is at work."""
    monkeypatch.setattr(ours, "RENEW_S", 0.0)
    link: Any = asyncio.run(board.link())
    run, running, met = link.run, list[str](), list[str]()

    async def noted(argv: list[str], **rest: Any) -> Any:
        met.extend(running)
        running.append(argv[-1])
        try:
            return await run(argv, **rest)
        finally:
            running.pop()

    monkeypatch.setattr(link, "run", noted)

    async def go() -> None:
        holding = ours.Holding(link)

        async def work() -> None:
            for _ in range(3):
                await holding.ask("missing", {"sizes": {}})

        await holding.during(work())

    asyncio.run(go())
    assert met == []


def test_an_answer_that_does_not_say_what_is_missing_gives_the_lease_back(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Any = asyncio.run(board.link())
    run = link.run

    async def forgetful(argv: list[str], **rest: Any) -> Any:
        done = await run(argv, **rest)
        if argv[-1] == "missing":
            done = type(done)(done.returncode, '{"incoming": "here"}', done.stderr)
        return done

    monkeypatch.setattr(link, "run", forgetful)
    with pytest.raises(DeviceError, match="gave a strange answer"):
        board.deploy(board.bundle(), link)
    assert lease.holder(board.layout) is None
