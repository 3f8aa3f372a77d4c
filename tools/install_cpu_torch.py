"""Installs the pinned torch as a CPU build, wherever the packages come from.

What an index calls `torch==2.13.0` may be a CPU build or, on the public index for Linux, a CUDA build
that drags in gigabytes of nvidia-* packages. So pip is first asked, without installing anything, what it
would bring; if CUDA is in it, PyTorch's own index of CPU builds is used instead.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PIP = (sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-c", "constraints.txt")
CUDA = ("nvidia", "cuda", "triton", "pytorch-triton")


def pinned() -> str:
    """The version of torch in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line.removeprefix("torch==") for line in lines if line.startswith("torch=="))


def installed() -> bool:
    program = "import torch, sys; sys.exit(torch.version.cuda is not None)"
    return subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def brings_cuda() -> bool:
    """Whether pip's own choice of torch would install anything of CUDA."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run([*PIP, "--dry-run", "--report", str(report), "torch"], cwd=ROOT, check=True)
        planned = json.loads(report.read_text())["install"]
    names = [item["metadata"]["name"].lower() for item in planned]
    return any(name.startswith(CUDA) for name in names)


def main() -> None:
    if installed():
        return
    wanted = ["torch"]
    if brings_cuda():
        # "+cpu" is a local version: only that index has it, so the rest still comes from the usual one.
        wanted = [f"torch=={pinned()}+cpu", "--extra-index-url", CPU_INDEX]
    subprocess.run([*PIP, *wanted], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
