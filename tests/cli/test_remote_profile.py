"""`profile: {device: …}`: the script goes to a machine behind a real SSH server, runs, and its profile is imported.

The machine has no NPU: a recorder stands in the place of torch_npu there (support/torch_npu_recorder.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch_npu_recorder
from sshd import Sshd
from tests.cli.conftest import Edgewright

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path, shared_dir: Path) -> Iterator[Sshd]:
    recorder = torch_npu_recorder.install(tmp_path / "recorder", shared_dir / "captures" / "cann")
    found = Sshd(tmp_path / "machine", variables=recorder)
    yield found
    found.stop()


@pytest.fixture
def model(tmp_path: Path) -> str:
    program = torch.export.export(torch.nn.Linear(4, 3).eval(), (torch.zeros(1, 4),))
    torch.export.save(program, tmp_path / "net.pt2")
    return "net.pt2"


def configure(folder: Path, model: str, device: str) -> str:
    section = {"device": device, "python": sys.executable}
    (folder / "edgewright.yaml").write_text(json.dumps({"model": {"source": model, "trust": True}, "profile": section}))
    return "edgewright.yaml"


def test_over_ssh_the_profile_comes_back_as_json(
    edgewright: Edgewright, machine: Sshd, model: str, tmp_path: Path
) -> None:
    said = edgewright("profile", configure(tmp_path, model, machine.reach("ssh")), "--json")
    assert said.code == 0, said.err
    found = said.json()
    assert found["results"]["device"] == "RECORDER" and found["results"]["agrees"] is True
    (view,) = found["imported"]["profiles"]
    assert view["profile"]["iterations"] == 10 and {f["rule"] for f in view["findings"]} >= {"gaps", "memory_bound"}


def test_over_the_system_s_ssh_the_profile_is_shown(
    edgewright: Edgewright, machine: Sshd, model: str, tmp_path: Path
) -> None:
    said = edgewright("profile", configure(tmp_path, model, machine.reach("openssh")))
    assert said.code == 0, said.err
    assert "outputs agree with the CPU's" in said.out and "matmul_kernel" in said.out
