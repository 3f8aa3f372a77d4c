"""Runs on the device (Python >= 3.8, standard library alone): finds CANN and what its set_env.sh sets.

`python -c <this file> HINT ROOT` prints one JSON object, or `null` where no toolkit is in reach. It is sent as text by
toolkit.py, so nothing has to be installed there first. The variables are those that sourcing changes in an empty
environment: a service and a non-interactive shell start from one, and neither reads .bashrc.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACES = (
    "/usr/local/Ascend/ascend-toolkit/latest",  # 8.x
    "/usr/local/Ascend/cann",  # 8.5 and newer
    "/usr/local/Ascend/nnrt/latest",  # the runtime alone: it runs an .om and converts nothing
    "~/Ascend/ascend-toolkit/latest",
    "~/Ascend/cann",
    "~/Ascend/nnrt/latest",
)
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LISTS = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
SHELL_OWN = ("PWD", "OLDPWD", "SHLVL", "_")
ARCHITECTURE = platform.machine() + "-linux"
LIBRARY_FOLDERS = ("lib64", "runtime/lib64", ARCHITECTURE + "/lib64", "acllib/lib64")
SOURCE = '. "$1" >/dev/null 2>&1; exec "$2" -I -c "import json, os; print(json.dumps(dict(os.environ)))"'


def main(hint: str, root: str) -> None:
    for found_by, folder in candidates(hint, root):
        found = look(folder)
        if found is not None:
            sys.stdout.write(json.dumps(dict(found, found_by=found_by)) + "\n")
            return
    sys.stdout.write("null\n")


def candidates(hint: str, root: str) -> Iterator[tuple[str, str]]:
    """(how it was found, folder) in the order in which they count."""
    if hint:
        yield "hint", os.path.abspath(os.path.expanduser(hint))  # noqa: PTH100, PTH111 (a symlink stays as written)
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"):
        if os.environ.get(name):
            yield name, os.environ[name]
    for place in PLACES:
        yield "its usual place", os.path.expanduser(place)  # noqa: PTH111
    yield ".cann of the working folder", str(Path.cwd() / ".cann")
    if root:
        yield ".cann of the device's folder", str(Path(root).absolute() / ".cann")


def look(folder: str) -> dict[str, Any] | None:
    """What is known of the toolkit that `folder` is or whose set_env.sh it holds (or is), None where it is neither.

    Of several scripts the one counts that speaks of this very folder: the one beside the versions speaks of `latest`.
    """
    others = []
    for script in scripts(Path(folder)):
        variables = sourced(script)
        home = variables.get("ASCEND_HOME_PATH") or variables.get("ASCEND_TOOLKIT_HOME") or folder
        if not is_toolkit(Path(home)):
            continue
        if Path(home).resolve() == Path(folder).resolve():
            return described(home, script, variables)
        others.append((home, script, variables))
    return described(*others[0]) if others else None


def described(home: str, script: Path, variables: dict[str, str]) -> dict[str, Any]:
    environment = with_driver(variables)
    version, simulated = version_of(Path(home))
    return {
        "root": home,
        "script": str(script),
        "layout": layout(Path(home), version),
        "version": version,
        "simulated": simulated,
        "environment": environment,
        "tools": tools(Path(home), environment),
        "host_path": host_path(),
    }


def host_path() -> str:
    """Where this machine has programs of its own: a Python for atc need not be in /usr/bin (the vendor's images have it
    in /usr/local/python3.*). An environment of Python that this program is in is Edgewright's, and not for atc."""
    ours = "" if sys.prefix == sys.base_prefix else os.path.realpath(os.path.join(sys.prefix, "bin"))  # noqa: PTH118
    parts = [part for part in os.environ.get("PATH", "").split(":") if part.startswith("/")]
    return without_gaps(":".join(part for part in parts if os.path.realpath(part) != ours))


def scripts(folder: Path) -> Iterator[Path]:
    """8.x keeps set_env.sh beside its versions and one of each version in script/; 8.5 and newer keep it inside."""
    if folder.is_file():
        yield folder
        return
    beside = [folder.parent / "set_env.sh"] if is_toolkit(folder) else []
    own = [folder / "set_env.sh", folder / ARCHITECTURE / "script" / "set_env.sh"]
    for script in [*own, *beside, folder / "bin" / "setenv.bash"]:
        if script.is_file():
            yield script


def is_toolkit(folder: Path) -> bool:
    names = ("libascendcl.so", "libacl_rt.so")
    if any((folder / place / name).exists() for place in LIBRARY_FOLDERS for name in names):
        return True
    return any((folder / place / "atc").exists() for place in ("bin", "compiler/bin"))


def sourced(script: Path) -> dict[str, str]:
    """The variables that sourcing `script` sets in an environment that holds next to nothing."""
    shell = shutil.which("bash", path=PLAIN_PATH) or shutil.which("sh", path=PLAIN_PATH) or "/bin/sh"
    before = {"PATH": PLAIN_PATH, "HOME": os.path.expanduser("~"), "LC_ALL": "C"}  # noqa: PTH111
    command = [shell, "-c", SOURCE, "sh", str(script), sys.executable or "python3"]
    try:
        done = subprocess.run(
            command, env=before, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=60, cwd="/", check=False,
        )  # fmt: skip
        after = json.loads(done.stdout.decode("utf-8", "replace").strip().splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return {}
    changed = {}
    for name, value in sorted(after.items()):
        if before.get(name) == value or name in SHELL_OWN or not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
            continue
        changed[name] = without_gaps(value) if name in LISTS else value
    return changed


def without_gaps(value: str) -> str:
    """`a:b:$LD_LIBRARY_PATH` ends in a colon when that was empty, and an empty part means the current folder."""
    return ":".join(dict.fromkeys(part for part in value.split(":") if part))


def with_driver(variables: dict[str, str]) -> dict[str, str]:
    """The driver's libraries are no part of the toolkit, and its set_env.sh need not name them."""
    driver = Path(driver_root()) / "driver" / "lib64"
    folders = [str(f) for f in (driver, driver / "common", driver / "driver") if f.is_dir()]
    libraries = without_gaps(":".join([variables.get("LD_LIBRARY_PATH", ""), *folders]))
    return dict(variables, LD_LIBRARY_PATH=libraries) if libraries else dict(variables)


def driver_root() -> str:
    """Where driver and firmware were installed: Driver_Install_Path_Param of /etc/ascend_install.info."""
    found = re.search(r"^Driver_Install_Path_Param=(/\S+)", text("/etc/ascend_install.info"), re.M)
    return found.group(1) if found else "/usr/local/Ascend"


def version_of(home: Path) -> tuple[str, bool]:
    """(version, whether it says that it is simulated). 8.x: `runtime_running_version=[7.7.0.1.238:8.1.RC1]`."""
    config = text(home / "version.cfg")
    simulated = re.search(r"^simulated=\S", config, re.M) is not None
    info = text(home / ARCHITECTURE / "ascend_toolkit_install.info")
    for pattern, where in (
        (r"^Version=([0-9][\w.+-]*)", config),
        (r"^version=([0-9][\w.+-]*)", info),
        (r"_running_version=\[[^\]\s]*:([0-9][\w.+-]*)\]", config),
    ):
        found = re.search(pattern, where, re.M)
        if found:
            return found.group(1), simulated
    named = re.search(r"(?:^|-)(\d+\.\d[\w.]*)$", home.resolve().name)
    return (named.group(1) if named else ""), simulated


def layout(home: Path, version: str) -> str:
    """ "9": the flat layout of /usr/local/Ascend/cann (8.5 and newer), where `cann` links to `cann-<version>`."""
    major = re.match(r"\d+", version)
    flat = home.name.startswith("cann") or home.resolve().name.startswith("cann")
    return "9" if flat or (major and int(major.group()) >= 9) else "8"


def tools(home: Path, environment: dict[str, str]) -> dict[str, str]:
    """Paths of the programs that are there. npu-smi comes with the driver, and RC boards keep msprof in /var."""
    own = [home / "bin", home / "compiler" / "bin", home / "tools" / "profiler" / "bin", home / ARCHITECTURE / "bin"]
    driver = Path(driver_root()) / "driver" / "tools"
    more = [driver, Path(sys.executable or "/").parent, Path.home() / ".local" / "bin", Path("/var")]
    listed = [environment.get("PATH", ""), *map(str, [*own, *more]), os.environ.get("PATH", ""), PLAIN_PATH]
    found = {name: shutil.which(name, path=":".join(listed)) for name in ("atc", "amct_onnx", "msprof", "npu-smi")}
    return {name: path for name, path in found.items() if path}


def text(path: str | Path) -> str:
    try:
        with open(str(path), encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(1 << 16)
    except OSError:
        return ""


if __name__ == "__main__":
    main(*[*sys.argv[1:], "", ""][:2])
