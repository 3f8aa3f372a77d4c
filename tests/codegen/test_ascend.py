"""The program over AscendCL, on the stand-in: layouts, run modes, gears, fp16, faults, what cannot be used.
Models: support/om.py."""

# ruff: noqa: F811 (fixtures are imported by name)

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from om import models  # noqa: F401
from workshop import ask, needs, port, refused, service, steps, write_ppm

from edgewright.codegen.program import SOURCES
from edgewright.core.recipe import EngineSpec
from edgewright.pipeline.native_program import compile_here

onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow
COUNT = 4 * 16 * 16
"""Values of the model's output; all of them are asked for as if they were classes."""


@pytest.fixture(scope="module")
def spec():
    ports = ((port("x", (1, 3, 16, 16)),), (port("y", (1, 4, 16, 16)),))
    entry = EngineSpec("model/main.om", {"device": 0, "inputs": ["x"], "outputs": ["y"]}, *ports)
    pre = steps(("resize", {"size": [16, 16]}), ("scale", {"factor": 1 / 255}), ("layout", {"to": "NCHW"}))
    post = steps(("identity", {"role": "y"}), ("top_k", {"k": COUNT}))
    return service(pre, post, entry, "classification", "cann")


@pytest.fixture(scope="module")
def program(ascend, spec) -> Path:
    return ascend.program(spec)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(5)
    return [write_ppm(folder / f"{k}.ppm", random.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for k in range(5)]


def right(lines: list[Any], pictures: list[Path], models: Path) -> None:
    """Every line is what ONNX Runtime computes for its picture, as far as fp16 goes."""
    session = onnxruntime.InferenceSession(str(models / "open.onnx"), providers=["CPUExecutionProvider"])
    assert [line["name"] for line in lines] == [path.name for path in pictures]
    for line, path in zip(lines, pictures, strict=True):
        pixels = np.frombuffer(path.read_bytes()[-768:], np.uint8).reshape(16, 16, 3)
        expected = session.run(None, {"x": pixels.transpose(2, 0, 1)[None].astype("f4") / 255})[0].ravel()
        seen = np.empty(COUNT)
        for place, value in line["prediction"]:
            seen[place] = value
        np.testing.assert_allclose(seen, expected, atol=0.01 * np.abs(expected).max())


MODELS = [("small", 1), ("batch", 1), ("batch", 3), ("image", 1), ("dims", 1), ("half", 1)]


@pytest.mark.parametrize(("model", "batch"), MODELS)
@pytest.mark.parametrize("mode", ["device", "host"])
def test_every_kind_of_model_gives_each_picture_its_own_answer(program, toolkit, models, pictures, model, batch, mode):
    words = ("--model", models / f"{model}.om", "--batch", batch, pictures[0].parent)
    right(ask(program, *words, environment=toolkit.environment(8, CANNSIM_RUN_MODE=mode)), pictures, models)


def test_the_same_sources_build_and_run_on_the_9x_layout_without_libascendcl(
    ascend, spec, toolkit, models, pictures, tmp_path
):
    home = tmp_path / "cann"
    (home / "devlib").mkdir(parents=True)
    for name in ("libacl_rt.so", "libacl_mdl.so"):
        (home / "devlib" / name).symlink_to(toolkit.prefix / "cann/lib64" / name)
    (home / "include").symlink_to(toolkit.prefix / "cann/include")
    kept, ascend.environment = ascend.environment, {**toolkit.environment(9), "ASCEND_HOME_PATH": str(home)}
    ascend.environment.pop("ASCEND_TOOLKIT_HOME")
    try:
        program = ascend.program(spec, "-UACL_*")
    finally:
        ascend.environment = kept
    cache = (ascend.folder / "project/build/CMakeCache.txt").read_text()
    assert "ACL_WHOLE:FILEPATH=ACL_WHOLE-NOTFOUND" in cache and "devlib/libacl_mdl.so" in cache
    lines = ask(program, "--model", models / "small.om", *pictures, environment=toolkit.environment(9))
    right(lines, pictures, models)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("no-permission", "HwHiAiUser"), ("-8005", "507899"), ("busy", "aclrtSetDevice"), ("oom", "not enough memory")],
)
def test_a_device_that_refuses_is_one_clear_line(program, toolkit, models, pictures, fault, words):
    status, line = refused(
        program, "--model", models / "small.om", pictures[0], environment=toolkit.environment(8, CANNSIM_FAULT=fault)
    )
    assert status == 4
    assert words in line


def test_what_cannot_be_used_is_one_clear_line(program, toolkit, models, pictures, tmp_path):
    environment = toolkit.environment(8)

    def said(*words: object) -> tuple[int, str]:
        return refused(program, *words, environment=environment, cwd=tmp_path)

    (tmp_path / "broken.ppm").write_bytes(b"P6\n9 9\n255\nabc")
    (tmp_path / "cut.om").write_bytes((models / "small.om").read_bytes()[:-10])
    good = ("--model", models / "small.om")
    assert said(pictures[0]) == (
        3,
        "predict: There is no model/main.om beside the program; name the model with --model.",
    )
    assert said("--model", "no.om", pictures[0]) == (3, "predict: There is no model no.om.")
    assert said("--model", models / "p3.om", pictures[0])[0] == 4
    assert "145006: the model file is cut off" in said("--model", "cut.om", pictures[0])[1]
    assert said(*good, "broken.ppm")[0] == 3
    assert said(*good, "nowhere.ppm") == (3, "predict: There is no file nowhere.ppm.")
    assert said(*good, tmp_path / "cut.om")[0] == 3
    assert said(*good, "--batch", 2, pictures[0])[0] == 2
    assert said(*good, "--device", 7, pictures[0])[0] == 4
    assert said(*good, "--nonsense") == (2, "predict: There is no option --nonsense; --help lists them.")
    assert said(*good, "--batch", "many", pictures[0])[0] == 2
    assert said(*good)[0] == 2


def test_the_benchmark_tells_phases_and_percentiles_and_the_profiler_leaves_its_folder(
    program, toolkit, models, pictures, tmp_path
):
    environment = toolkit.environment(8, CANNSIM_RUN_MODE="host")
    words = ("--model", models / "small.om", "--bench", "--seconds", "0", "--profile", tmp_path / "prof", pictures[0])
    (found,) = ask(program, *words, environment=environment)
    assert set(found["phases_ms"]) == {"pre", "h2d", "execute", "d2h", "post", "total"}
    for phase in found["phases_ms"].values():
        assert 0 <= phase["p50"] <= phase["p90"] <= phase["p95"] <= phase["p99"]
    assert found["phases_ms"]["h2d"]["p50"] > 0, "run mode host copies"
    assert found["simulated"] is False and found["count"] >= 10
    assert list((tmp_path / "prof").glob("PROF_*"))


def test_golden_answers_are_replayed_and_a_changed_one_fails(program, toolkit, models, pictures, tmp_path):
    (line,) = ask(program, "--model", models / "small.om", pictures[0], environment=toolkit.environment(8))
    pixels = np.frombuffer(pictures[0].read_bytes()[-768:], np.uint8).reshape(16, 16, 3)
    (tmp_path / "golden").mkdir()
    np.save(tmp_path / "golden/0000.npy", pixels)

    def replay(change: float) -> Any:
        (place, value), *others = line["prediction"]
        entry = {"id": "picture", "file": "golden/0000.npy", "prediction": [[place, value + change], *others]}
        (tmp_path / "golden/golden.json").write_text(json.dumps({"format": 1, "samples": [entry]}))
        return toolkit.run(program, "--model", models / "small.om", "--golden", tmp_path, cwd=tmp_path)

    fine = replay(0.04)
    assert (fine.returncode, json.loads(fine.stdout)) == (0, {"samples": 1, "mismatches": 0})
    wrong = replay(0.06)
    assert (wrong.returncode, json.loads(wrong.stdout)) == (1, {"samples": 1, "mismatches": 1})
    assert re.fullmatch(r"picture: class \d+ has probability [\d.]+, not [\d.]+\n", wrong.stderr)
    (tmp_path / "golden/0000.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr': '|O'}")
    assert replay(0).returncode == 3


def test_a_program_for_a_board_is_built_by_the_cross_compiler(spec, toolkit, monkeypatch, tmp_path):
    needs("aarch64-linux-gnu-g++", "cmake", "make", "file")
    monkeypatch.setenv("CMAKE_BUILD_TYPE", "None")  # a third of the time
    program = compile_here(spec, "ascendcl", "aarch64", tmp_path)
    kind = toolkit.run("file", program, cwd=tmp_path).stdout
    assert "ELF 64-bit LSB" in kind and "aarch64" in kind


def test_the_sources_compile_without_a_warning_against_the_vendors_own_headers(toolkit, tmp_path):
    folders = [Path(part) for part in os.environ.get("CANNSIM_VENDOR_HEADERS", "").split(":") if part]
    if not folders:
        pytest.skip("elsewhere: CANNSIM_VENDOR_HEADERS names no copy of the vendor's headers")
    for path in (path for folder in folders for path in folder.rglob("*.h")):
        # As a toolkit has them, in one folder; each half of the vendor's sources has empty files for the other's.
        copy = tmp_path / "acl" / str(path).rpartition("/acl/")[2]
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.is_file() or copy.stat().st_size < path.stat().st_size:
            shutil.copyfile(path, copy)
    strict = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-isystem", tmp_path]
    for name in ("acl", "acl_model", "acl_profile", "engine_ascendcl"):
        done = toolkit.run("g++", *strict, SOURCES / f"src/{name}.cpp", cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_annotated_images_show_the_prediction(program, toolkit, models, pictures, tmp_path):
    before = shutil.copy(pictures[0], tmp_path / "a.ppm")
    ask(program, "--model", models / "small.om", before, "--save", tmp_path / "out", environment=toolkit.environment(8))
    (written,) = (tmp_path / "out").iterdir()
    assert written.stem == "a" and written.stat().st_size > 100
