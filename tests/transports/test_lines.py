"""The connections to one device: what goes wrong at the same time as something else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgewright.transports import lines
from edgewright.transports.carrier import Lost


class Stalled:
    """A connection that is there, and over which no second channel comes to be."""

    def alive(self) -> bool:
        return True

    async def close(self) -> None: ...


class Dialler:
    async def dial(self) -> Any:
        return Stalled()


class Channel:
    write = read = read_error = None

    async def close(self) -> None: ...


def test_a_connection_that_is_dropped_while_a_channel_is_awaited_is_given_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "OPEN_S", 0.05)

    async def opened(line: Any) -> Any:
        return Channel()

    async def stuck(line: Any) -> Any:
        await asyncio.sleep(60)

    async def go() -> None:
        found = lines.Lines(Dialler(), "ssh://board")
        channel = await found._open(opened)
        waiting = asyncio.create_task(found._open(stuck))
        await asyncio.sleep(0.01)
        await found.drop(channel)
        with pytest.raises(Lost):
            await waiting
        await found.close()

    asyncio.run(go())
