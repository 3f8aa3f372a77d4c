"""Every family of calls, in a program compiled as C and as C++, warning-free, in both layouts and run modes."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # the first test builds the stand-in


@pytest.fixture(scope="module")
def models(toolkit, small_model, identity_model, tmp_path_factory):
    """The .om files the programs open, for the DK A2 and, where they are run there, for a card of the host kind."""
    folder = tmp_path_factory.mktemp("models")
    small_model(folder / "small.onnx")
    small_model(folder / "open.onnx", dims=("n", 3, "h", "w"))
    identity_model(folder / "identity.onnx")
    (folder / "rgb.cfg").write_text("aipp_op { aipp_mode: static input_format: RGB888_U8 rbuv_swap_switch: true }")
    (folder / "yuv.cfg").write_text("aipp_op { aipp_mode: static input_format: YUV420SP_U8 csc_switch: true }")
    (folder / "dynamic.cfg").write_text("aipp_op { aipp_mode: dynamic max_src_image_size: 1200 }")

    def convert(name: str, model: str, *options: str, soc: str = "Ascend310B4") -> None:
        words = ["atc", f"--model={model}.onnx", "--framework=5", f"--output={name}", f"--soc_version={soc}", *options]
        done = toolkit.run(*words, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    convert("small", "small")
    convert("small_p3", "small", soc="Ascend310P3")
    convert("batch", "open", "--input_shape=x:-1,3,8,8", "--dynamic_batch_size=1,2,4")
    convert("image", "open", "--input_shape=x:1,3,-1,-1", "--dynamic_image_size=8,8;16,16")
    convert("dims", "open", "--input_shape=x:-1,3,-1,-1", "--input_format=ND", "--dynamic_dims=1,8,8;2,16,16")
    convert("static", "identity", "--insert_op_conf=rgb.cfg")
    convert("yuv", "identity", "--insert_op_conf=yuv.cfg")
    convert("dynamic", "identity", "--insert_op_conf=dynamic.cfg")
    (folder / "short.om").write_bytes((folder / "small.om").read_bytes()[:-10])
    raw = np.random.default_rng(1).integers(0, 256, 20 * 10 * 3, np.uint8)
    (folder / "picture.rgb").write_bytes(raw.tobytes())
    return folder


ARGUMENTS = {
    "order": (),
    "memory": (),
    "model": ("small.om", "short.om", "small_p3.om"),
    "streams": ("small.om",),
    "gears": ("batch.om", "image.om", "dims.om"),
    "aipp": ("static.om", "yuv.om", "dynamic.om", "picture.rgb"),
    "descriptors": ("small.om", "profile"),
}


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_program_compiles_without_warnings_and_passes(toolkit, models, tmp_path, name, language):
    program = toolkit.build(name, tmp_path / name, language, layout=8 if language == "c" else 9)
    layout = 8 if language == "c" else 9
    words = [models / word if "." in word else tmp_path / word for word in ARGUMENTS[name]]
    done = toolkit.run(program, *words, cwd=tmp_path, layout=layout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("ok\n")
    assert "not released" not in done.stderr


@pytest.mark.parametrize("name", ["memory", "model", "streams"])
def test_program_passes_where_device_memory_is_out_of_reach(toolkit, models, tmp_path, name):
    program = toolkit.build(name, tmp_path / name)
    words = {"memory": (), "model": ("small_p3.om", "short.om", "small.om"), "streams": ("small_p3.om",)}[name]
    done = toolkit.run(program, *(models / word for word in words), cwd=tmp_path, CANNSIM_SOC="Ascend310P3")
    assert done.returncode == 0, done.stdout + done.stderr


def test_device_memory_cannot_be_touched_on_a_host_card_and_can_on_a_board(toolkit, tmp_path):
    program = toolkit.build("touch_device", tmp_path / "touch")
    assert toolkit.run(program, cwd=tmp_path).stdout == "written\n"
    assert toolkit.run(program, cwd=tmp_path, CANNSIM_SOC="Ascend310P3").returncode == -11


def test_aclfinalize_reports_what_was_not_released(toolkit, tmp_path):
    done = toolkit.run(toolkit.build("leaky", tmp_path / "leaky"), cwd=tmp_path)
    assert "not released before aclFinalize: 1 device block(s), 4096 bytes; 1 stream(s);" in done.stderr


@pytest.mark.parametrize(("fault", "code"), [("-8005", 507899), ("busy", 507033), ("oom", 207001)])
def test_injected_faults_reach_the_program(toolkit, tmp_path, fault, code):
    done = toolkit.run(toolkit.build("leaky", tmp_path / "leaky"), cwd=tmp_path, CANNSIM_FAULT=fault)
    assert done.returncode == 1
    assert f"gave {code}, not 0" in done.stderr


def test_an_om_of_a_newer_cann_is_refused(toolkit, models, tmp_path):
    program = toolkit.build("descriptors", tmp_path / "descriptors")
    done = toolkit.run(program, models / "small.om", tmp_path, cwd=tmp_path, CANNSIM_CANN_VERSION="7.0.0")
    assert "gave 545001" in done.stderr
    assert "newer than this runtime" in done.stderr


def test_the_stub_library_links_and_says_it_is_one(toolkit, tmp_path):
    program = toolkit.build("order", tmp_path / "order")
    stub = toolkit.prefix / "ascend-toolkit/latest/lib64/stub"
    done = toolkit.run(program, cwd=tmp_path, LD_LIBRARY_PATH=str(stub))
    assert "gave 100039" in done.stderr


def test_every_declared_call_is_in_the_library(toolkit):
    library = toolkit.prefix / "cann/lib64/libacl_mdl.so"
    stub = library.resolve().parent / "stub/libascendcl.so"

    def calls(path):
        listed = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        return {line.split()[-1] for line in listed.splitlines() if line.split()[-1].startswith("acl")}

    assert calls(library) == calls(stub)
    assert len(calls(stub)) > 120
