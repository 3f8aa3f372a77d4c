"""Packages in the bundle: resolved for the device's platform here, unpacked by the installer there, with no index."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from board import Board, health
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import ConfigError, ToolError
from edgewright.device import wheels as device_wheels
from edgewright.device.durable import sha256_of
from edgewright.device.release import ReleaseError
from edgewright.pipeline.bundle import Bundle
from edgewright.pipeline.golden import Golden, record_golden
from edgewright.pipeline.pack import needs, pack
from edgewright.pipeline.save import save
from edgewright.pipeline.wheels import Platform, Wheels, _glibc_of, platform_of, requirements, resolve, tried
from edgewright.store.cache import Store
from edgewright.transports.local import MEMBER

SYSTEM_PYTHON = Path("/usr/bin/python3")


def wheel(folder: Path, name: str, files: dict[str, str], tag: str = "py3-none-any") -> Path:
    """A wheel as pip takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    described = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    described[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in [*described, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in described.items():
            archive.writestr(member, text)
    return path


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place where pip looks."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def test_wheels_are_resolved_for_the_platform_that_is_asked_for(offline: Path, tmp_path: Path) -> None:
    board = Platform("aarch64", "3.9", "2.31")
    for tag in (
        "cp39-cp39-manylinux_2_28_aarch64",
        "cp39-cp39-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
    ):
        wheel(offline, "quick", {"quick/__init__.py": ""}, tag)
    wheel(offline, "late", {"late/__init__.py": ""}, "cp39-cp39-manylinux_2_35_aarch64")
    store = Store(tmp_path / "store")
    found = resolve(store, ("quick==1.0",), board)
    assert list(found.files) == ["quick-1.0-cp39-cp39-manylinux_2_28_aarch64.whl"] and found.glibc == "2.28"
    assert not found.executed and found.carries("quick")
    shutil.rmtree(offline)
    assert resolve(store, ("quick==1.0",), board) == found, "fetched once"
    with pytest.raises(ToolError, match=r"Python 3\.9 on aarch64 with glibc 2\.31"):
        resolve(store, ("late==1.0",), board)


@pytest.mark.parametrize(
    ("name", "glibc"),
    [
        ("a-1-py3-none-any.whl", ""),
        ("a-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", "2.27"),
        ("a-1-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", "2.17"),
        ("a-1-cp311-cp311-manylinux2010_x86_64.whl", "2.12"),
        ("a-1-cp39-abi3-manylinux_2_5_x86_64.manylinux1_x86_64.whl", "2.5"),
    ],
)
def test_the_glibc_of_a_wheel_is_that_of_its_oldest_tag(name: str, glibc: str) -> None:
    assert _glibc_of(name) == glibc


def test_a_device_without_glibc_is_refused() -> None:
    status = {"machine": "aarch64", "python": "3.9.2", "libc": "glibc 2.31", "system": "Linux"}
    assert platform_of(status) == Platform("aarch64", "3.9", "2.31")
    for change in ({"libc": ""}, {"libc": "musl 1.2"}, {"system": "Darwin"}):
        with pytest.raises(ConfigError, match=r"serve\.wheels"):
            platform_of({**status, **change})


def test_what_is_carried_need_not_be_there_but_only_fits_its_platform(offline: Path, tmp_path: Path) -> None:
    wheel(offline, "quick", {"quick/__init__.py": "x" * 1000}, "cp39-cp39-manylinux_2_28_aarch64")
    found = resolve(Store(tmp_path / "store"), ("quick==1.0",), Platform("aarch64", "3.9", "2.31"))
    artifact = tiny.artifact(tmp_path / "artifact")
    golden = Golden(tmp_path, 0, {"quick": "1.0", "cann": "8.1.RC1"}, "aarch64")
    needed = needs(artifact, golden, found)
    assert needed.runtimes == {"cann": ("8.1", "8.2")} and needed.glibc == "2.28"
    assert (needed.machine, needed.python, needed.python_below) == ("aarch64", "3.9", "3.10")
    assert needed.disk_bytes > needs(artifact, golden).disk_bytes + 1000
    assert requirements(artifact.service, golden, None) == ("quick==1.0", "pillow")
    assert requirements(artifact.service, golden, "camera:0")[-1] == "opencv-python-headless"


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ("pkg/a.py", "pkg/a.py"),
        ("pkg-1.data/purelib/pkg/b.py", "pkg/b.py"),
        ("pkg-1.data/platlib/pkg.so", "pkg.so"),
        ("pkg-1.data/scripts/run", None),
        ("pkg-1.data/data/etc/x", None),
        ("pkg-1.data/purelib", None),
    ],
)
def test_a_member_of_a_wheel_goes_where_the_format_says(member: str, place: str | None) -> None:
    assert device_wheels.place_of(member) == place


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30) | st.sampled_from(["../x", "/etc/x", "a/../../x", "p.data/purelib/../../x", "a\\..\\x"]))
def test_no_member_leaves_the_folder(name: str) -> None:
    try:
        place = device_wheels.place_of(name)
    except ReleaseError:
        return
    if place is not None:
        assert (Path("/packages") / place).resolve().is_relative_to("/packages")


def test_a_damaged_or_hostile_wheel_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, "quick", {"../../out.py": "x"})
    with pytest.raises(ReleaseError, match="not allowed"):
        device_wheels.unpack(str(path), str(tmp_path / "a" / "b"))
    assert not list(tmp_path.rglob("out.py"))
    whole = wheel(tmp_path, "quick", {"quick.py": "x" * 5000}).read_bytes()
    for data in (b"", b"PK", whole[:200], whole[:100] + b"\xff" * 50 + whole[150:]):
        path.write_bytes(data)
        with pytest.raises(ReleaseError, match="cannot be unpacked"):
            device_wheels.unpack(str(path), str(tmp_path / "c"))


def carrying(tmp_path: Path, found: Wheels, engine: str = "", score: float = 0.5) -> Bundle:
    """A tiny service, its golden samples recorded here, packed with wheels."""
    artifact = tiny.artifact(tmp_path / f"artifact-{score}", score=score)
    if engine:
        path = artifact.folder / "app" / "engine.py"
        path.write_text(engine + path.read_text())
        artifact = replace(artifact, files={**artifact.files, "app/engine.py": sha256_of(str(path))})

    async def go() -> Golden:
        link = await MEMBER.open("local", root=str(tmp_path / "recorded"))
        try:
            return await record_golden(Store(tmp_path / "store"), artifact, tiny.dataset(tmp_path / "pictures"), link)
        finally:
            await link.close()

    return pack(artifact, tiny.DECISION, asyncio.run(go()), tmp_path / f"bundle-{score}", wheels=found)


def test_packages_are_unpacked_once_put_on_the_path_and_cleared_up(board: Board, offline: Path, tmp_path: Path) -> None:
    wheel(offline, "quick", {"quick.py": "answer = 42\n"})
    here = Platform(platform.machine(), ".".join(platform.python_version_tuple()[:2]), "2.31")
    found = resolve(Store(tmp_path / "store"), ("quick==1.0",), here)
    engine = "try:\n    import quick\nexcept ImportError:\n    pass\n"
    first, second = (carrying(tmp_path, found, engine, score) for score in (0.5, 0.4))
    bare = board.bundle()
    digest = next(iter(found.files.values()))
    packages = Path(board.layout.packages)
    for bundle in (first, second):
        board.deploy(bundle)
        assert [path.name for path in packages.iterdir()] == [digest]
        assert (packages / digest / "quick.py").read_text() == "answer = 42\n"
        board.assert_whole()
    made = (packages / digest).stat().st_ino
    assert board.layout.describe(board.names()[0])["packages"] == [digest]  # type: ignore[index]
    (packages / (device_wheels.MAKING + digest)).mkdir()
    board.deploy(bare)
    assert [path.stat().st_ino for path in packages.iterdir()] == [made], "`previous` still uses it"
    board.deploy(board.bundle(score=0.3))
    assert list(packages.iterdir()) == []


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "device"
    yield found
    for tools in found.glob("tools/*"):
        argv = [SYSTEM_PYTHON, "-m", "edgewright.device.install", str(found), "stop"]
        subprocess.run(argv, input=b"{}", env={**os.environ, "PYTHONPATH": str(tools)}, capture_output=True)


@pytest.mark.slow
def test_a_system_python_without_any_package_serves_from_what_the_bundle_brings(root: Path, tmp_path: Path) -> None:
    ask = "import sys, platform; print('%d.%d' % sys.version_info[:2], platform.libc_ver()[1], platform.machine())"
    if not SYSTEM_PYTHON.exists():
        pytest.skip("elsewhere: the system has no Python of its own")
    version, glibc, machine = subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, text=True).stdout.split()
    if subprocess.run([SYSTEM_PYTHON, "-c", "import numpy"], capture_output=True).returncode == 0:
        pytest.skip("elsewhere: the system's Python has numpy already")
    store = Store(tmp_path / "store")
    try:
        found = resolve(store, ("numpy", "pillow"), Platform(machine, version, glibc))
    except ToolError as error:
        pytest.skip(f"elsewhere: no index of packages is in reach: {error.message}")

    async def executed() -> bool:
        link = await MEMBER.open("local", root=str(tmp_path / "tried"))
        link.python = str(SYSTEM_PYTHON)
        try:
            return await tried(found, link)
        finally:
            await link.close()

    assert asyncio.run(executed())
    bundle = carrying(tmp_path, found)
    saved = save(replace(bundle, needs=replace(bundle.needs, runtimes={})), tmp_path / "release.pyz")
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_NO_INDEX": "1"}
    argv = [SYSTEM_PYTHON, saved.path, "--root", root, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd="/", timeout=200)
    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert health(answer["url"])["release"] == bundle.digest and answer["replay"]["samples"] == 4
