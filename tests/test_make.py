"""make: what is missing is named in one line, with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def _run(root: Path, tmp_path: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """tools/make-venv.sh on a machine whose only programs are these."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    shell = shutil.which("sh") or "/bin/sh"
    return subprocess.run(
        [shell, str(root / "tools/make-venv.sh"), str(tmp_path / "venv")],
        env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_missing_python_is_named_in_one_line(root: Path, tmp_path: Path) -> None:
    done = _run(root, tmp_path, {})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11" in done.stderr and "apt install python3" in done.stderr


def test_an_old_python_is_no_python(root: Path, tmp_path: Path) -> None:
    done = _run(root, tmp_path, {"python3": "exit 1"})
    assert done.returncode == 1 and "Python 3.11" in done.stderr


def test_a_missing_venv_is_named_in_one_line(root: Path, tmp_path: Path) -> None:
    done = _run(root, tmp_path, {"python3": 'case "$2" in *ensurepip*) exit 1;; esac'})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "python3-venv" in done.stderr


@pytest.mark.parametrize(
    "target", ["demo", "stop", "fleet-up", "fleet-down", "test", "test-faults", "bench", "lint", "docs", "clean"]
)
def test_the_targets_are_there(root: Path, target: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed: apt install make")
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run([make, "-n", target], cwd=root, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
