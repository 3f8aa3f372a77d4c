"""The library under AddressSanitizer and UndefinedBehaviorSanitizer, driven by the test programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sanitized(toolkit, tmp_path_factory):
    """A second build of the library with both sanitizers, in the place of the first one's."""
    folder = tmp_path_factory.mktemp("asan")
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -O0"
    source = toolkit_source()
    command = ["make", "-C", source, "build", f"BUILD={folder}", f"PYTHON={sys.executable}", f"JOBS={os.cpu_count()}"]
    done = subprocess.run(
        [*command, f"CMAKE_FLAGS=-DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS='{flags}' -DCMAKE_C_FLAGS='{flags}'"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip("the compiler has no sanitizer libraries")
    assert done.returncode == 0, done.stderr
    shutil.copy(toolkit.prefix / "ascend-toolkit/latest/cannsim.cfg", folder.parent / "cannsim.cfg")
    # What OpenVINO and its threads keep until the process ends is not ours.
    (folder / "leaks.txt").write_text("leak:libopenvino\nleak:libtbb\nleak:libonnx\nleak:dl_open\n")
    return folder


def toolkit_source() -> str:
    from pathlib import Path

    return str(Path(__file__).resolve().parent.parent.parent / "cannsim")


@pytest.mark.parametrize("name", ["order", "memory", "model", "streams"])
def test_programs_run_clean_under_the_sanitizers(toolkit, atc, sanitized, small_model, tmp_path, name):
    small_model(tmp_path / "small.onnx")
    assert atc(tmp_path / "small.onnx", "small").returncode == 0
    assert atc(tmp_path / "small.onnx", "small_p3", soc="Ascend310P3").returncode == 0
    (tmp_path / "short.om").write_bytes((tmp_path / "small.om").read_bytes()[:-10])
    words = {"model": ("small.om", "short.om", "small_p3.om"), "streams": ("small.om",)}.get(name, ())
    flags = ("-fsanitize=address,undefined", f"-L{sanitized}")
    program = toolkit.build(name, tmp_path / name, flags=flags)
    done = toolkit.run(
        program, *words, cwd=tmp_path, LD_LIBRARY_PATH=str(sanitized),
        ASAN_OPTIONS="detect_leaks=1", LSAN_OPTIONS=f"suppressions={sanitized / 'leaks.txt'}:print_suppressions=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-6000:]
    assert "runtime error" not in done.stderr
