"""Our declarations against the vendor's published headers, where a copy of those is at hand (none is committed)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CANNSIM = Path(__file__).resolve().parent.parent.parent / "cannsim"


def test_headers_are_valid_c_and_cpp_without_warnings():
    source = '#include "acl/acl.h"\n#include "acl/acl_prof.h"\nint main(void) { return ACL_SUCCESS; }\n'
    for compiler in (["gcc", "-xc", "-std=c99"], ["g++", "-xc++", "-std=c++17"]):
        command = [
            *compiler,
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-fsyntax-only",
            f"-I{CANNSIM / 'include'}",
            "-",
        ]
        try:
            done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"{compiler[0]} is not installed")
        assert done.returncode == 0, done.stderr


def test_declarations_agree_with_the_vendors():
    folders = os.environ.get("CANNSIM_VENDOR_HEADERS", "")
    if not folders:
        pytest.skip("elsewhere: CANNSIM_VENDOR_HEADERS names no copy of the vendor's headers")
    command = [sys.executable, CANNSIM / "stub/compare_headers.py", CANNSIM / "include", *folders.split(":")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
