"""An operator: a deployment by a process of its own, so that two of them are two, and one can be killed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from multiprocessing.context import SpawnProcess
from pathlib import Path

from board import Board

from edgewright.core.config import ServeConfig, TargetConfig
from edgewright.core.errors import DeviceError
from edgewright.pipeline.bundle import Bundle, read_bundle
from edgewright.pipeline.deploy import deploy
from edgewright.transports.local import MEMBER


def begin(bundle: Bundle, board: Board, result: Path, slowly: bool = False) -> SpawnProcess:
    """`result` becomes {"error": what was said, "" for nothing}; with `slowly` the sending never ends, and `result`
    says when it has begun."""
    found = multiprocessing.get_context("spawn").Process(
        target=_operator, args=(str(bundle.path), str(board.root), str(result), slowly)
    )
    found.start()
    return found


def _operator(path: str, root: str, result: str, slowly: bool) -> None:
    async def go() -> None:
        link = await MEMBER.open("local", root=root)
        if slowly:
            put = link.put

            async def stuck(local: Path, remote: str) -> None:
                await put(local, remote)
                if "incoming" in remote:
                    Path(result).write_text("sending")
                    await asyncio.sleep(3600)

            link.put = stuck  # type: ignore[method-assign]
        settings = ServeConfig(bake_s=0, manager="supervisor")
        await deploy(read_bundle(Path(path)), TargetConfig(), settings, link)

    said = ""
    try:
        asyncio.run(go())
    except DeviceError as error:
        said = error.message
    Path(result).write_text(json.dumps({"error": said}))
