"""The ssh_config of one link, as the system's ssh reads it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from edgewright.transports.address import parse
from edgewright.transports.openssh import config

SSH = shutil.which("ssh") or ""
pytestmark = pytest.mark.skipif(not SSH, reason="there is no ssh here")


def test_a_connection_of_ours_never_outlives_the_process_that_holds_it(tmp_path: Path) -> None:
    theirs = tmp_path / "user"
    theirs.write_text("Host *\n  ControlMaster auto\n  ControlPersist yes\n  ControlPath /tmp/%C\n")
    file = asyncio.run(config.write(parse(f"openssh://board?config={theirs}"), tmp_path, SSH))
    argv = [SSH, "-F", str(file), "-S", str(tmp_path / "socket"), "-G", "board"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "controlpersist no" in said and f"controlpath {tmp_path / 'socket'}" in said
