"""Nothing calls home: no library reaches further than this machine, and nothing needs to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Edgewright
from work import SHORT

WATCH = """
import os, socket
_log = os.environ["CALLS"]
def _note(where):
    with open(_log, "a") as out:
        out.write(repr(where) + "\\n")
class Watched(socket.socket):
    def connect(self, address):
        _note(address)
        return super().connect(address)
    def connect_ex(self, address):
        _note(address)
        return super().connect_ex(address)
socket.socket = Watched
_ask = socket.getaddrinfo
def getaddrinfo(host, *words, **options):
    _note((host, 0))
    return _ask(host, *words, **options)
socket.getaddrinfo = getaddrinfo
"""
HERE = ("127.0.0.1", "localhost", "::1")


@pytest.mark.slow
def test_no_library_reaches_further_than_this_machine(
    edgewright: Edgewright, tiny_onnx: Path, pictures: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WATCH)
    calls = tmp_path / "calls"
    (tmp_path / "e.yaml").write_text("model: tiny.onnx\ntask: classification\ndata: {calibration: pictures}\n")
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "CALLS": str(calls)}
    said = edgewright("run", "e.yaml", "--no-deploy", "--json", env=environment)
    assert said.code in (0, 1), said.err
    assert any("int8" in c["name"] for c in said.json()["targets"][0]["candidates"])
    reached = calls.read_text().splitlines() if calls.exists() else []
    assert [call for call in reached if not any(host in call for host in HERE) and "/" not in call] == []


@pytest.mark.slow
def test_a_run_needs_no_network(tiny_onnx: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("elsewhere: this system gives no network namespaces")
    done = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", SHORT, "run", "tiny.onnx", "--no-deploy", "--json"],
        cwd=tmp_path, env={**os.environ, "EDGEWRIGHT_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
