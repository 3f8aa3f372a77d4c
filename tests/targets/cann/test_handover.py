"""The script that converts elsewhere: started by whatever shell, the vendor's set_env.sh gets the one it needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgewright.core.errors import InputError
from edgewright.targets.cann import handover


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A toolkit whose set_env.sh finds its own folder as that of CANN 9.x does, and an atc that says it was called."""
    home = tmp_path / "the toolkit"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "atc").write_text('#!/bin/sh\necho "converted"\n: >main.om\n')
    (home / "bin" / "atc").chmod(0o755)
    (home / "set_env.sh").write_text(
        'here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)\n'
        'export ASCEND_HOME_PATH="$here" PATH="$here/bin:$PATH"\n'
    )  # fmt: skip
    return home


def convert(folder: Path, vendor: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "ASCEND_SET_ENV": str(vendor / "set_env.sh")}
    return subprocess.run([*argv], capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.mark.parametrize("how", [("sh", "convert.sh"), ("bash", "convert.sh"), ("./convert.sh",)], ids=" ".join)
def test_the_script_runs_in_bash_whoever_starts_it(tmp_path: Path, vendor: Path, how: tuple[str, ...]) -> None:
    folder = tmp_path / "hand over"
    (folder / "atlas" / "main").mkdir(parents=True)
    handover.write_script(folder, "net", ["run atlas main atc --model=model.onnx"])
    done = convert(folder, vendor, *how)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "atlas" / "main" / "main.om").is_file()
    assert "bash convert.sh" in (folder / "README.md").read_text()


def test_without_a_toolkit_the_remedy_names_bash(tmp_path: Path) -> None:
    if any(Path(path).exists() for path in ("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit")):
        pytest.skip("elsewhere: this machine has a toolkit")
    handover.write_script(tmp_path, "net", [])
    done = convert(tmp_path, tmp_path / "nowhere", "sh", "convert.sh")
    assert done.returncode == 1 and "bash convert.sh" in done.stderr


@pytest.mark.parametrize(
    "text", ["Version=9.1.0\n", "# version: 1.0\nruntime_running_version=[7.8.0.1.238:8.3.RC1]\n"], ids=["9", "8"]
)
def test_what_a_newer_cann_than_the_devices_converted_is_not_taken_back(tmp_path: Path, text: str) -> None:
    (tmp_path / "version.cfg").write_text(text)
    with pytest.raises(InputError, match=r"does not run on CANN 8\.1\.RC1"):
        handover._refuse_newer(tmp_path / "atlas" / "fp16", "8.1.RC1")
    handover._refuse_newer(tmp_path / "atlas" / "fp16", "9.1.0")
    handover._refuse_newer(tmp_path / "atlas" / "fp16", "")
    (tmp_path / "version.cfg").unlink()
    handover._refuse_newer(tmp_path / "atlas" / "fp16", "8.1.RC1")
