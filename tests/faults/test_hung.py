"""An installer that hangs while a host waits for it: the wait is bounded, and the hung program does not outlive it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from board import Board
from faulty import AT_STEP, INSTALL, assert_one_whole_release, assert_right_answers, install, serving, told
from sshd import Sshd

from edgewright import transports
from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.contracts import Completed, Link
from edgewright.core.errors import DeviceError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.deploy import Release, deploy
from edgewright.pipeline.rollback import roll_back

pytestmark = pytest.mark.slow
PATIENCE_S = 6.0


class Faulty:
    """A link on which the installer of one operation has a fault built in."""

    def __init__(self, link: Link, op: str, fault: str) -> None:
        self._link, self._op, self._fault = link, op, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        words = list(argv)
        if words[1:3] == ["-m", "edgewright.device.install"] and words[-1] == self._op:
            words[1:3] = ["-c", f"import sys\n{self._fault}\n{INSTALL}"]
        return await self._link.run(words, stdin=stdin, env=env, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    found = Sshd(tmp_path_factory.mktemp("device"))
    yield found
    found.stop()


@pytest.fixture(params=["local", "ssh"])
def address(request: pytest.FixtureRequest) -> str:
    return "local" if request.param == "local" else request.getfixturevalue("device").reach()


async def opened(address: str, board: Board, fault: tuple[str, str] | None) -> Any:
    link = await transports.get(address.split(":")[0]).open(address, root=str(board.root))
    return Faulty(link, *fault) if fault else link


def deployed(address: str, board: Board, bundle: Bundle, fault: tuple[str, str] | None = None) -> Release:
    async def go() -> Release:
        link, patience = await opened(address, board, fault), {"timeout_s": PATIENCE_S} if fault else {}
        try:
            return await deploy(bundle, TargetConfig(), ServeConfig(bake_s=0, manager="supervisor"), link, **patience)
        finally:
            await link.close()

    return asyncio.run(go())


def rolled_back(address: str, board: Board, fault: tuple[str, str] | None = None) -> Any:
    async def go() -> Any:
        link, patience = await opened(address, board, fault), {"timeout_s": PATIENCE_S} if fault else {}
        try:
            return await roll_back("board", link, **patience)
        finally:
            await link.close()

    return asyncio.run(go())


def serving_and_next(board: Board) -> tuple[Bundle, Bundle]:
    """What serves on the board, which has a predecessor, and what comes next."""
    pair = (board.bundle(), board.bundle(score=0.4))
    if board.names()[1] is None:
        for bundle in reversed(pair):
            assert install(board, bundle).code == 0
    return pair if (board.names()[0] or "").endswith(pair[0].digest[:12]) else pair[::-1]


def hang(tmp_path: Path, step: str) -> str:
    return AT_STEP.format(step=step, when="after", what="hang", sign=str(tmp_path / "met"))


@pytest.mark.fault(
    "F3 the installer of a deployment hangs, and nobody ends it",
    outcome="it is ended after the time-out and the error says what to do; the old release serves, and the next "
    "deployment succeeds and says what was interrupted",
)
@pytest.mark.parametrize("step", ["received", "replayed"])
def test_a_deployment_is_bounded(old_board: Board, tmp_path: Path, address: str, step: str) -> None:
    board, (old, new) = old_board, serving_and_next(old_board)
    with pytest.raises(DeviceError, match="did not end its `install` within 6 s; it was ended") as error:
        deployed(address, board, new, ("install", hang(tmp_path, step)))
    assert (tmp_path / "met").exists() and "edgewright status" in error.value.remedy
    assert serving(board)["release"] == old.digest
    last = told(board)["last"]
    assert (last["op"], last["step"], last["reason"]) == ("install", step, "the installer was interrupted")
    release = deployed(address, board, new)
    assert f"{last['release']} ended after the step `{step}`: the installer was interrupted; " in release.recovered
    assert_one_whole_release(board, new)
    assert told(board)["last"]["over"]


@pytest.mark.fault(
    "F3 the installer of a rollback hangs, and nobody ends it",
    outcome="it is ended after the time-out; a whole release serves, and the next rollback succeeds and says what was "
    "interrupted",
)
@pytest.mark.parametrize("step", ["begun", "switched"])
def test_a_rollback_is_bounded(old_board: Board, tmp_path: Path, address: str, step: str) -> None:
    board, (old, new) = old_board, serving_and_next(old_board)
    with pytest.raises(DeviceError, match="did not end its `rollback` within 6 s; it was ended"):
        rolled_back(address, board, ("rollback", hang(tmp_path, step)))
    assert (tmp_path / "met").exists()
    assert_right_answers(board, next(bundle for bundle in (old, new) if bundle.digest == serving(board)["release"]))
    done = rolled_back(address, board)
    assert done.recovered.startswith("The rollback to ") and f"after the step `{step}`" in done.recovered
    assert_one_whole_release(board, new)
