"""A link to this machine, with the stand-in or a folder of the test's own as its CANN."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgewright import transports
from edgewright.core.contracts import Completed, Link
from edgewright.pipeline.connect import Surrounded


@pytest.fixture
def over_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """over_link(work, **variables): the result of `await work(link)`, the link's programs having those variables.

    The working folder is an empty one and no variable of CANN is set, so that nothing is found by accident.
    """
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "LD_LIBRARY_PATH", "CANNSIM_FAULT"):
        monkeypatch.delenv(name, raising=False)

    def run(work: Callable[[Link], Awaitable[Any]], **variables: str) -> Any:
        async def story() -> Any:
            link = await transports.get("local").open("local", root=str(tmp_path / "device"))
            try:
                return await work(Surrounded(link, variables) if variables else link)
            finally:
                await link.close()

        return asyncio.run(story())

    return run


class Saying:
    """A link whose every program says the same; for answers that no honest device gives."""

    address, python, root, scratch, shares_files = "here", "python3", "/", "/tmp", False

    def __init__(self, stdout: str, returncode: int = 0) -> None:
        self._done = Completed(returncode, stdout, "")

    async def run(
        self, argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 600
    ) -> Completed:
        return self._done


@pytest.fixture
def saying() -> type[Saying]:
    return Saying
