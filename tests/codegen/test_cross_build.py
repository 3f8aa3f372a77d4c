"""For another processor, the libraries of the building machine are not taken, although they have the right names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from workshop import needs

import edgewright

MODULE = Path(edgewright.__file__).parent / "codegen" / "cpp" / "cmake" / "ascendcl.cmake"
PROJECT = f"""cmake_minimum_required(VERSION 3.16)
project(trial NONE)
add_library(predict INTERFACE)
function(set_target_properties)
endfunction()
include({MODULE})
"""
OTHER = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=other")


def planted(root: Path, *folders: str) -> Path:
    (root / "include" / "acl").mkdir(parents=True)
    (root / "include" / "acl" / "acl.h").touch()
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for name in ("acl_rt", "acl_mdl"):
            (root / folder / f"lib{name}.so").touch()
    return root


def configured(tmp_path: Path, root: Path, *words: str) -> str:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    environment = {"PATH": "/usr/bin:/bin", "ASCEND_HOME_PATH": str(root)}
    done = subprocess.run(
        ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), "-DCMAKE_FIND_LIBRARY_PREFIXES=lib",
         "-DCMAKE_FIND_LIBRARY_SUFFIXES=.so", *words],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("own", ["lib64", "devlib"])
def test_a_cross_build_takes_the_other_processors_libraries(tmp_path: Path, own: str) -> None:
    needs("cmake")
    root = planted(tmp_path / "cann", own, "other-linux/devlib")
    assert f"{root}/other-linux/devlib/libacl_rt.so" in configured(tmp_path, root, *OTHER)
    for path in (root / "other-linux" / "devlib").iterdir():
        path.unlink()
    again = tmp_path / "again"
    again.mkdir()
    assert "CANN is not found" in configured(again, root, *OTHER)


def test_a_root_that_is_the_other_processors_own_is_taken_whole(tmp_path: Path) -> None:
    needs("cmake")
    root = planted(tmp_path / "latest" / "other-linux", "lib64")
    assert f"{root}/lib64/libacl_rt.so" in configured(tmp_path, root, *OTHER)


def test_a_native_build_takes_its_own(tmp_path: Path) -> None:
    needs("cmake")
    root = planted(tmp_path / "cann", "lib64", "other-linux/devlib")
    assert f"{root}/lib64/libacl_rt.so" in configured(tmp_path, root)
