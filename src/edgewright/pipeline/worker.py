"""The host's end of the worker: one process on the device that runs one service folder.

The device's end and the protocol are in `edgewright.device.worker` and docs/architecture.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgewright.core.contracts import Link, Process
from edgewright.core.errors import DeviceError

START_TIMEOUT_S = 300.0
ANSWER_TIMEOUT_S = 1800.0


class Worker:
    """`async with Worker(link, folder) as worker: await worker.ask("time", …)`."""

    def __init__(self, link: Link, folder: str, env: Mapping[str, str] | None = None) -> None:
        self._link, self._folder = link, folder
        self._env = {
            "PYTHONPATH": f"{folder}/app",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        self._process: Process | None = None
        self.ready: Mapping[str, Any] = {}

    async def __aenter__(self) -> Self:
        argv = [self._link.python, "-m", "edgewright.device.worker", self._folder]
        self._process = await self._link.start(argv, env=self._env)
        try:
            self.ready = await self._answer(START_TIMEOUT_S)
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.stop()

    async def ask(self, verb: str, *, timeout_s: float = ANSWER_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        """One command and its answer. DeviceError with the worker's own words where it failed."""
        assert self._process is not None
        await self._process.write_line(json.dumps({"do": verb, **arguments}))
        return await self._answer(timeout_s)

    async def _answer(self, timeout_s: float) -> dict[str, Any]:
        assert self._process is not None
        line = await self._process.read_line(timeout_s)
        if not line:
            tail = (await self._process.stderr_tail()).strip().splitlines()[-4:]
            raise DeviceError(
                f"The program that runs {Path(self._folder).name} ended without an answer: {' | '.join(tail)[:600]}",
                "Run `edgewright doctor`; if memory is short, try a smaller batch or input.",
            )
        try:
            answer = json.loads(line)
        except ValueError:
            raise DeviceError(
                f"The device answered with something else than JSON: {line[:200]!r}.", "Report this."
            ) from None
        if "error" in answer:
            error = answer["error"]
            raise DeviceError(str(error.get("message", error))[:2000], str(error.get("remedy", "See the log.")))
        return dict(answer)
