"""Finding a device's Python: whatever its login shell prints, it is found or missed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from edgewright.core.errors import DeviceError
from edgewright.transports.address import parse
from edgewright.transports.interpreter import CANDIDATES, Interpreter, find

SOUND = 'edgewright:[[3, 11], "/usr/bin/python3", "/home/pi"]'


class Answers:
    """Lines whose programs print one text after another."""

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    async def channel(self, _: Any) -> Any:
        parts = [self._texts.pop(0).encode(), b""]

        class Channel:
            async def read(self) -> bytes:
                return parts.pop(0)

            async def close(self) -> None: ...

        return Channel()


def _find(*texts: str) -> Interpreter:
    lines: Any = Answers(*texts)
    return asyncio.run(find(lines, parse("ssh://board")))


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "Welcome!",
        "edgewright:[nonsense]",
        "edgewright:" + "[" * 30_000 + "]",
        "edgewright:" + "[" * 30_000 + "]" * 30_000,
        "edgewright:[]",
        "edgewright:[5, 6, 7]",
        'edgewright:[[3, 11], "python", "/home/pi"]',
        'edgewright:[["3", "11"], "/usr/bin/python3", "/home/pi"]',
        'edgewright:[[3, 11], "/usr/\\ud800", "/home/pi"]',
        "edgewright:" + json.dumps([[3, 11], "/usr/bin\n/python3", "/home/pi"]),
        'edgewright:[[3, 6], "/usr/bin/python3.6", "/home/pi"]',
    ],
)
def test_what_is_no_python_that_serves_is_passed_over(odd: str) -> None:
    assert _find(odd, "Welcome!\n" + SOUND + "\n") == Interpreter("/usr/bin/python3", "/home/pi")
    with pytest.raises(DeviceError, match=r"has no Python 3\.8"):
        _find(*[odd] * len(CANDIDATES))
