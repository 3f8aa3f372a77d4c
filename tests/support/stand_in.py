"""The stand-in for an Ascend device, built and installed once a session (of several processes, too), and its tools.

EDGEWRIGHT_CANN names one that is installed already (`make -C cannsim install PREFIX=…`), which saves the build.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "cannsim"
PROGRAMS = ROOT / "tests" / "cannsim" / "programs"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@dataclass
class Toolkit:
    """An installed stand-in; `run` starts one of its tools, `build` compiles a program against it."""

    prefix: Path
    state: Path

    def environment(self, layout: int = 8, **extra: str) -> dict[str, str]:
        home = self.prefix / ("cann" if layout == 9 else "ascend-toolkit/latest")
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("ASCEND", "CANNSIM", "LD_"))}
        return {
            **plain,
            "ASCEND_TOOLKIT_HOME": str(home),
            "ASCEND_HOME_PATH": str(home),
            "LD_LIBRARY_PATH": str(home / "lib64"),
            "PATH": f"{home / 'bin'}:{self.prefix / 'driver/bin'}:{os.environ['PATH']}",
            "CANNSIM_STATE_DIR": str(self.state),
            "CANNSIM_THREADS": "2",
            "ASCEND_PROCESS_LOG_PATH": str(self.state / "log"),
            **extra,
        }

    def run(self, *words: object, cwd: Path, layout: int = 8, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words], cwd=cwd, env=self.environment(layout, **extra),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def build(self, name: str, target: Path, language: str = "c", layout: int = 8, flags: tuple[str, ...] = ()) -> Path:
        home = self.prefix / ("cann" if layout == 9 else "ascend-toolkit/latest")
        libraries = ["-lacl_rt", "-lacl_mdl"] if layout == 9 else ["-lascendcl"]
        compiler = ["g++", "-xc++", "-std=c++17"] if language == "c++" else ["gcc", "-xc", "-std=gnu99"]
        command = [*compiler, *STRICT, *flags, PROGRAMS / f"{name}.c", "-xnone", f"-I{home / 'include'}"]
        command += [f"-L{home / 'lib64'}", *libraries, "-lpthread", "-o", target]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return target


def installed(folder: Path, shared: Path) -> Toolkit:
    """Built and installed in `shared`, which is the same for all processes of this session; the device's state is kept
    in `folder`. Skips where a tool for that is missing."""
    for tool in ("cmake", "g++", "gcc", "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: it builds the stand-in")
    for module in ("openvino", "onnx", "onnxruntime"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed: the stand-in computes with it")
    ready = os.environ.get("EDGEWRIGHT_CANN")
    prefix = Path(ready).resolve() if ready else _built(shared)
    state = folder / "state"
    state.mkdir(mode=0o700)
    return Toolkit(prefix, state)


def _built(folder: Path) -> Path:
    """Built by the first process that comes; the others wait for it."""
    folder.mkdir(exist_ok=True)
    done = folder / "cann" / ".whole"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            command = ["make", "-C", str(SOURCE), "install", f"PREFIX={folder / 'cann'}", f"PYTHON={sys.executable}"]
            command += [f"BUILD={folder / 'build'}", f"JOBS={os.cpu_count() or 2}"]
            command += ["CMAKE_FLAGS=-DCMAKE_CXX_FLAGS=-Werror"]
            made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            assert made.returncode == 0, made.stdout + made.stderr
            done.touch()
    return folder / "cann"
