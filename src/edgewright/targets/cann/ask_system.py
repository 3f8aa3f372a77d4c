"""Runs on the device (Python >= 3.8, standard library alone): what CANN needs of the system, for doctor.py.

`python -c <this file> ROOT PATH [PACKAGE ...]` prints one JSON object. ROOT is the toolkit's folder ("" where there is
none), PATH the one that its programs get: `atc` starts whatever `python3` it finds there.
"""

from __future__ import annotations

import getpass
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

NODES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc", "/dev/svm0")
MORE_NODES = (
    *("/dev/ts_aisle", "/dev/upgrade", "/dev/sys", "/dev/vdec", "/dev/vpc", "/dev/pngd", "/dev/venc"),
    *("/dev/dvpp_cmdlist", "/dev/log_drv", "/dev/acodec", "/dev/ai", "/dev/ao", "/dev/vo", "/dev/hdmi"),
    *("/dev/event_sched", "/dev/hi_dvpp", "/dev/memory_bandwidth", "/dev/xsmem_dev", "/dev/user_config"),
)
"""What boards have besides whose own processor runs the program (RC). 310B, with svm0 in the place of devmm_svm and
hisi_hdc: ascend-docker-runtime, addAscend310BManagerDevice; the last five: ascend-device-plugin, HiAi200RC* and
Atlas200ISoc*."""
OPERATORS = "opp/built-in/op_impl/ai_core/tbe/config/*"
PACKAGES = (
    "import json, platform, sys\n"
    "try:\n    from importlib import metadata\n"
    "except ImportError:\n    import importlib_metadata as metadata\n"
    "found = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try:\n        found[name] = metadata.version(name)\n"
    "    except metadata.PackageNotFoundError:\n        pass\n"
    "print(json.dumps([platform.python_version(), found]))\n"
)


def main(root: str, path: str, packages: list[str]) -> None:
    installed = installation()
    python = shutil.which("python3", path=path) or ""
    version, found = python_packages(python, packages, path)
    answer: dict[str, Any] = {
        "driver_root": installed,
        "driver": version_info(installed, "driver"),
        "firmware": version_info(installed, "firmware"),
        "nodes": {node: os.access(node, os.R_OK | os.W_OK) for node in nodes()},
        "container": Path("/.dockerenv").exists() or "container" in os.environ,
        "python": python,
        "python_version": version,
        "packages": found,
        "compiler": shutil.which("g++", path=path) or "",
        "operators": sorted(Path(folder).name for folder in glob.glob(str(Path(root) / OPERATORS))) if root else [],  # noqa: PTH207
        "disk_free": shutil.disk_usage(str(Path.cwd())).free,
        "memory_available": available(),
        **identity(),
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def installation() -> str:
    """The folder that holds `driver` and `firmware`: Driver_Install_Path_Param of /etc/ascend_install.info."""
    named = re.search(r"^Driver_Install_Path_Param=(/\S+)", text("/etc/ascend_install.info"), re.M)
    return named.group(1) if named else "/usr/local/Ascend"


def version_info(installed: str, part: str) -> str:
    found = re.search(r"^Version=(\S+)", text(str(Path(installed) / part / "version.info")), re.M)
    return found.group(1)[:64] if found else ""


def nodes() -> list[str]:
    chips = [path for path in glob.glob("/dev/davinci*") if re.match(r"/dev/davinci\d+\Z", path)]  # noqa: PTH207
    return sorted(chips)[:64] + [path for path in (*NODES, *MORE_NODES) if Path(path).is_char_device()]


def identity() -> dict[str, Any]:
    """Who asks, and whether the group that the driver gives its devices to is there and his."""
    try:
        import grp

        group = grp.getgrnam("HwHiAiUser").gr_gid
    except (ImportError, KeyError):
        group = -1
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    member = group in os.getgroups() or group == os.getgid()
    return {"user": user, "root": os.getuid() == 0, "group": group >= 0, "member": member}


def python_packages(python: str, packages: list[str], path: str) -> tuple[str, dict[str, str]]:
    if not python:
        return "", {}
    try:
        done = subprocess.run(
            [python, "-c", PACKAGES, *packages], env={"PATH": path, "HOME": str(Path.home())}, cwd="/", timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        version, found = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
        return str(version), dict(found)
    except (OSError, ValueError, IndexError, TypeError, subprocess.SubprocessError):
        return "", {}


def available() -> int:
    """Bytes that a new program can have without swapping, 0 where the system does not say."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text("/proc/meminfo"), re.M)
    return int(found.group(1)) * 1024 if found else 0


def text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(1 << 16)
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
