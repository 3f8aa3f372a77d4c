from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from boards import bakery, board  # noqa: F401


@pytest.fixture(scope="module")
def start_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts an agent on a tiny service and gives its address; `arguments` go to the agent, the rest to the model."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, root: Path | None = None, images: bool = True, **model: object) -> str:
        folder = tiny.service(tmp_path_factory.mktemp("service") / "service", images, **model)
        root = root or tmp_path_factory.mktemp("root")
        log = root / "log"
        with log.open("wb") as out:
            argv = [sys.executable, "-m", "edgewright.device.agent", str(folder), "--root", str(root), "--port", "0"]
            environment = {**os.environ, "PYTHONPATH": str(folder / "app")}
            started.append(subprocess.Popen([*argv, *arguments], stderr=out, env=environment, cwd=folder))
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://\S+", log.read_text())):
            assert started[-1].poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return found.group()

    yield start
    for process in started:
        process.terminate()
    for process in started:
        assert process.wait(20) == 0, "an agent ends politely"
