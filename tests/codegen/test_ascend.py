"""The program over AscendCL, on the stand-in: layouts, run modes, gears, fp16, faults, what cannot be used."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workshop import ask, needs, port, refused, service, steps, write_ppm

from edgewright.codegen.program import SOURCES
from edgewright.core.recipe import EngineSpec
from edgewright.pipeline.native_program import compile_here

pytestmark = pytest.mark.slow
COLOURS = ((255, 0, 0), (0, 128, 0), (10, 20, 250), (90, 90, 90), (1, 2, 3))


@pytest.fixture(scope="module")
def models(toolkit, tmp_path_factory) -> Path:
    """The mean of each channel, as .om files: fixed, batch and image gears, fp16 throughout, for another chip."""
    import onnx
    from onnx import TensorProto, helper

    folder = tmp_path_factory.mktemp("models")
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["y"], name="flat"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "mean", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), folder / "m.onnx")
    for name, shape, options in (
        ("fixed", "1,3,8,8", ()),
        ("four", "4,3,8,8", ()),
        ("gears", "-1,3,8,8", ("--dynamic_batch_size=1,2,4",)),
        ("sizes", "1,3,-1,-1", ("--dynamic_image_size=8,8;16,16",)),
        ("dims", "-1,3,-1,-1", ("--input_format=ND", "--dynamic_dims=1,8,8;2,16,16")),
        ("half", "1,3,8,8", ("--output_type=FP16", "--input_fp16_nodes=x")),
        ("p3", "1,3,8,8", ()),
    ):
        chip = "Ascend310P3" if name == "p3" else "Ascend310B4"
        words = ["atc", "--model=m.onnx", "--framework=5", f"--output={name}", f"--soc_version={chip}"]
        done = toolkit.run(*words, f"--input_shape=x:{shape}", *options, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def spec():
    entry = EngineSpec(
        "model/main.om",
        {"device": 0, "inputs": ["x"], "outputs": ["y"]},
        (port("x", (1, 3, 8, 8)),),
        (port("y", (1, 3)),),
    )
    pre = steps(("resize", {"size": [8, 8]}), ("scale", {"factor": 1 / 255}), ("layout", {"to": "NCHW"}))
    return service(pre, steps(("identity", {"role": "y"}), ("top_k", {"k": 3})), entry, "classification", "cann")


@pytest.fixture(scope="module")
def program(ascend, spec) -> Path:
    return ascend.program(spec)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [write_ppm(folder / f"{k}.ppm", np.full((9, 7, 3), c, np.uint8)) for k, c in enumerate(COLOURS)]


def means(lines: list[Any]) -> np.ndarray:
    found = np.zeros((len(lines), 3))
    for k, line in enumerate(lines):
        for channel, value in line["prediction"]:
            found[k, channel] = value
    return found


@pytest.mark.parametrize(
    ("model", "batch"),
    [("fixed", 1), ("four", 4), ("four", 3), ("gears", 1), ("gears", 3), ("sizes", 1), ("dims", 1), ("half", 1)],
)
@pytest.mark.parametrize("mode", ["device", "host"])
def test_every_kind_of_model_gives_each_picture_its_own_answer(program, toolkit, models, pictures, model, batch, mode):
    environment = toolkit.environment(8, CANNSIM_RUN_MODE=mode)
    lines = ask(program, "--model", models / f"{model}.om", "--batch", batch, *pictures, environment=environment)
    if batch > 1:  # one call of the program takes a folder in batches
        lines = ask(
            program, "--model", models / f"{model}.om", "--batch", batch, pictures[0].parent, environment=environment
        )
    np.testing.assert_allclose(means(lines), np.array(COLOURS) / 255, atol=2e-3)


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
    lines = ask(program, "--model", models / "fixed.om", *pictures, environment=toolkit.environment(9))
    np.testing.assert_allclose(means(lines), np.array(COLOURS) / 255, atol=2e-3)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("no-permission", "HwHiAiUser"), ("-8005", "507899"), ("busy", "aclrtSetDevice"), ("oom", "not enough memory")],
)
def test_a_device_that_refuses_is_one_clear_line(program, toolkit, models, pictures, fault, words):
    status, line = refused(
        program, "--model", models / "fixed.om", pictures[0], environment=toolkit.environment(8, CANNSIM_FAULT=fault)
    )
    assert status == 4
    assert words in line


def test_what_cannot_be_used_is_one_clear_line(program, toolkit, models, pictures, tmp_path):
    environment = toolkit.environment(8)

    def said(*words: object) -> tuple[int, str]:
        return refused(program, *words, environment=environment, cwd=tmp_path)

    (tmp_path / "broken.ppm").write_bytes(b"P6\n9 9\n255\nabc")
    (tmp_path / "cut.om").write_bytes((models / "fixed.om").read_bytes()[:-10])
    good = ("--model", models / "fixed.om")
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
    words = ("--model", models / "fixed.om", "--bench", "--seconds", "0", "--profile", tmp_path / "prof", pictures[0])
    (found,) = ask(program, *words, environment=environment)
    assert set(found["phases_ms"]) == {"pre", "h2d", "execute", "d2h", "post", "total"}
    for phase in found["phases_ms"].values():
        assert 0 <= phase["p50"] <= phase["p90"] <= phase["p95"] <= phase["p99"]
    assert found["phases_ms"]["h2d"]["p50"] > 0, "run mode host copies"
    assert found["simulated"] is False and found["count"] >= 10
    assert list((tmp_path / "prof").glob("PROF_*"))


def test_golden_answers_are_replayed_and_a_changed_one_fails(program, toolkit, models, tmp_path):
    pixels = np.full((6, 6, 3), (255, 0, 51), np.uint8)
    (tmp_path / "golden").mkdir()
    np.save(tmp_path / "golden/0000.npy", pixels)

    def replay(probability: float) -> Any:
        rows = [[0, 1.0], [2, probability], [1, 0.0]]
        entry = {"id": "picture", "file": "golden/0000.npy", "prediction": rows}
        (tmp_path / "golden/golden.json").write_text(json.dumps({"format": 1, "samples": [entry]}))
        return toolkit.run(program, "--model", models / "fixed.om", "--golden", tmp_path, cwd=tmp_path)

    fine = replay(0.2)
    assert (fine.returncode, json.loads(fine.stdout)) == (0, {"samples": 1, "mismatches": 0})
    wrong = replay(0.6)
    assert (wrong.returncode, json.loads(wrong.stdout)) == (1, {"samples": 1, "mismatches": 1})
    assert wrong.stderr == "picture: class 2 has probability 0.200, not 0.600\n"
    (tmp_path / "golden/0000.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr': '|O'}")
    assert replay(0.2).returncode == 3


def test_a_program_for_a_board_is_built_by_the_cross_compiler(spec, toolkit, monkeypatch, tmp_path):
    needs("aarch64-linux-gnu-g++", "cmake", "make", "file")
    monkeypatch.setenv("CMAKE_BUILD_TYPE", "Debug")  # half the time
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
    ask(program, "--model", models / "fixed.om", before, "--save", tmp_path / "out", environment=toolkit.environment(8))
    (written,) = (tmp_path / "out").iterdir()
    assert written.stem == "a" and written.stat().st_size > 100
