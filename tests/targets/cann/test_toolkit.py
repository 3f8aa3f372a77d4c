"""CANN is found on the device in both layouts, and its variables alone are enough for a service."""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.errors import DeviceError
from edgewright.targets.cann import toolkit as cann
from edgewright.targets.cann.toolkit import Toolkit

LOAD = (
    "import ctypes, os\n"
    "library = ctypes.CDLL('libascendcl.so')\n"
    "mode = ctypes.c_int(7)\n"
    "codes = [library.aclInit(None), library.aclrtSetDevice(0), library.aclrtGetRunMode(ctypes.byref(mode))]\n"
    "print(codes, mode.value, library.aclrtResetDevice(0), library.aclFinalize())\n"
)


def find(over_link: Callable[..., Any], hint: str = "", **variables: str) -> Toolkit | None:
    found = over_link(lambda link: cann.find(link, hint), **variables)
    assert found is None or isinstance(found, Toolkit)
    return found


def plant(folder: Path, version: str = "8.0.RC3", script: str | None = None) -> Path:
    """A toolkit's folder as installed, down to what is looked for; its set_env.sh is written as the vendor's is."""
    (folder / "lib64").mkdir(parents=True)
    (folder / "lib64" / "libascendcl.so").touch()
    info = folder / f"{platform.machine()}-linux"
    info.mkdir()
    (info / "ascend_toolkit_install.info").write_text(f"package_name=Ascend-cann-toolkit\nversion={version}\n")
    text = script or (
        f"export ASCEND_TOOLKIT_HOME={folder}\n"
        "export LD_LIBRARY_PATH=${ASCEND_TOOLKIT_HOME}/lib64:${ASCEND_TOOLKIT_HOME}/plugin/$(arch):$LD_LIBRARY_PATH\n"
        "export PYTHONPATH=${ASCEND_TOOLKIT_HOME}/python/site-packages:$PYTHONPATH\n"
        "export PATH=${ASCEND_TOOLKIT_HOME}/bin:$PATH\nexport ASCEND_HOME_PATH=${ASCEND_TOOLKIT_HOME}\n"
    )
    (folder / "set_env.sh").write_text(text)
    return folder


@pytest.mark.parametrize(("place", "layout", "version"), [("", "8", "8.1.RC1"), ("cann", "9", "9.1.0")])
def test_both_layouts_are_found_and_load_from_an_empty_environment(
    toolkit: Any, over_link: Callable[..., Any], tmp_path: Path, place: str, layout: str, version: str
) -> None:
    found = find(over_link, str(toolkit.prefix / place))
    assert found is not None
    assert (found.layout, found.version, found.simulated, found.found_by) == (layout, version, True, "hint")
    assert set(found.tools) == {"atc", "amct_onnx", "msprof", "npu-smi"}
    assert all(Path(path).is_absolute() and Path(path).exists() for path in found.tools.values())
    assert found.environment["ASCEND_HOME_PATH"] == found.root
    state = {"CANNSIM_STATE_DIR": str(toolkit.state)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env={**found.environment, **state}, capture_output=True, text=True, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 0, 0] 0 0 0", done.stderr


def test_without_those_variables_the_library_does_not_load(toolkit: Any) -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], env={}, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "libascendcl" in done.stderr


def test_places_are_tried_in_their_order(toolkit: Any, over_link: Callable[..., Any], tmp_path: Path) -> None:
    assert find(over_link) is None
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / ".cann").symlink_to(toolkit.prefix)
    last = find(over_link)
    assert last is not None and "device" in last.found_by
    (tmp_path / "here" / ".cann").symlink_to(toolkit.prefix)
    near = find(over_link)
    assert near is not None and "working folder" in near.found_by
    own = plant(tmp_path / "own")
    named = find(over_link, ASCEND_HOME_PATH=str(own))
    assert named is not None and (named.root, named.found_by) == (str(own), "ASCEND_HOME_PATH")
    hinted = find(over_link, str(toolkit.prefix / "cann"), ASCEND_HOME_PATH=str(own))
    assert hinted is not None and hinted.layout == "9"


def test_a_relative_hint_starts_at_the_working_folder(
    toolkit: Any, over_link: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "here" / "mine").symlink_to(toolkit.prefix)
    found = find(over_link, "mine/ascend-toolkit/8.1.RC1")
    assert found is not None and found.root.endswith("ascend-toolkit/8.1.RC1")


def test_a_hint_for_another_machine_is_passed_over(toolkit: Any, over_link: Callable[..., Any]) -> None:
    found = find(over_link, "/opt/of/the/host", ASCEND_HOME_PATH=str(toolkit.prefix / "cann"))
    assert found is not None and found.found_by == "ASCEND_HOME_PATH"


def test_empty_parts_of_lists_which_mean_the_current_folder_are_dropped(
    over_link: Callable[..., Any], tmp_path: Path
) -> None:
    found = find(over_link, str(plant(tmp_path / "toolkit")), LD_LIBRARY_PATH="/of/the/caller")
    assert found is not None and found.version == "8.0.RC3" and not found.simulated and not found.converts
    for name in ("LD_LIBRARY_PATH", "PYTHONPATH", "PATH"):
        assert "" not in found.environment[name].split(":")
    assert "/of/the/caller" not in found.environment["LD_LIBRARY_PATH"]
    assert platform.machine() in found.environment["LD_LIBRARY_PATH"]


def test_version_and_layout_are_read_from_what_the_vendor_installs(
    over_link: Callable[..., Any], tmp_path: Path
) -> None:
    flat = plant(tmp_path / "cann-8.5.0", version="8.5.0")
    (tmp_path / "cann").symlink_to(flat)
    found = find(over_link, str(tmp_path / "cann"))
    assert found is not None and (found.layout, found.version) == ("9", "8.5.0")
    old = plant(tmp_path / "latest", version="")
    (old / "version.cfg").write_text("# version: 1.0\nruntime_running_version=[7.7.0.1.238:8.1.RC1]\n")
    found = find(over_link, str(old))
    assert found is not None and (found.layout, found.version) == ("8", "8.1.RC1")


def test_a_versions_own_script_is_preferred_to_the_one_beside_it(over_link: Callable[..., Any], tmp_path: Path) -> None:
    latest, older = plant(tmp_path / "8.1"), plant(tmp_path / "8.0")
    (tmp_path / "set_env.sh").write_text(f"export ASCEND_HOME_PATH={latest}\n")
    own = older / f"{platform.machine()}-linux" / "script"
    own.mkdir()
    (older / "set_env.sh").rename(own / "set_env.sh")
    found = find(over_link, str(older))
    assert found is not None and found.root == str(older)
    (own / "set_env.sh").unlink()
    found = find(over_link, str(older))
    assert found is not None and found.root == str(latest)
    direct = find(over_link, str(tmp_path / "set_env.sh"))
    assert direct is not None and direct.root == str(latest)


@pytest.mark.parametrize("script", ["exit 1\n", "sleep 0; exec false\n", "if then\n", "export NOTHING=\n"])
def test_a_broken_set_env_is_no_toolkit(over_link: Callable[..., Any], tmp_path: Path, script: str) -> None:
    plant(tmp_path / "broken", script=script)
    (tmp_path / "broken" / "lib64" / "libascendcl.so").unlink()
    assert find(over_link, str(tmp_path / "broken")) is None


def test_the_variables_are_a_families_environment(toolkit: Any, over_link: Callable[..., Any]) -> None:
    given = over_link(lambda link: cann.environment(link, {"toolkit": str(toolkit.prefix)}))
    assert given["ASCEND_OPP_PATH"].endswith("/opp") and "SHLVL" not in given and "PWD" not in given
    assert over_link(lambda link: cann.environment(link, {})) == {}


GOOD = {"root": "/x", "layout": "8", "version": "8.1", "simulated": False, "environment": {"A": "b"}, "tools": {}}


@pytest.mark.parametrize(
    "answer",
    [
        {**GOOD, "layout": "7"},
        {**GOOD, "root": "x"},
        {**GOOD, "environment": {"A B": "c"}},
        {**GOOD, "environment": {"A": "b\nc"}},
        {**GOOD, "environment": {"A": "b" * 40000}},
        {**GOOD, "environment": {f"A{i}": "b" for i in range(300)}},
        {**GOOD, "environment": {"A": 1}},
        {**GOOD, "tools": {"atc": "rm"}},
        {**GOOD, "more": 1},
        [],
        "x",
    ],
)
def test_an_answer_that_no_honest_device_gives_is_refused(saying: Any, answer: Any) -> None:
    with pytest.raises(DeviceError):
        asyncio.run(cann.find(saying(json.dumps(answer))))


@pytest.mark.parametrize("name", ["ask_toolkit.py", "ask_acl.py", "ask_system.py"])
def test_what_is_sent_to_a_device_needs_only_python_3_8_and_itself(name: str) -> None:
    source = Path(cann.__file__).with_name(name)
    program = "from vermin.main import main; main()"
    command = [sys.executable, "-c", program, "-t=3.8-", "--no-tips", "--violations", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "edgewright" not in source.read_text() and "numpy" not in source.read_text()


def test_a_device_without_python_says_so(saying: Any) -> None:
    with pytest.raises(DeviceError, match="search for CANN"):
        asyncio.run(cann.find(saying("", returncode=127)))
    assert asyncio.run(cann.find(saying(json.dumps(GOOD)))) == Toolkit.from_json(GOOD)


def test_what_converts_has_the_hosts_own_path_and_what_serves_has_not(
    over_link: Callable[..., Any], tmp_path: Path, saying: Any
) -> None:
    home = plant(tmp_path / "toolkit")
    python = tmp_path / "python3.11.13" / "bin"
    python.mkdir(parents=True)
    ours = Path(sys.prefix) / "bin"
    found = find(over_link, str(home), PATH=f"{ours}:{python}:.:/usr/bin:/bin")
    assert found is not None and str(python) not in found.environment["PATH"]
    path = found.converting["PATH"].split(":")
    assert path.index(f"{home}/bin") < path.index(str(python)) < path.index("/usr/bin") and "." not in path
    if sys.prefix != sys.base_prefix:
        assert str(ours) not in path, "a Python of ours is not for atc"
    assert {**found.converting, "PATH": ""} == {**found.environment, "PATH": ""}
    with pytest.raises(DeviceError):
        asyncio.run(cann.find(saying(json.dumps({**GOOD, "host_path": "/a\nb"}))))
