"""atc's command line: what it takes, what it refuses and with which code, what it leaves behind."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def model(small_model, tmp_path):
    return small_model(tmp_path / "small.onnx")


@pytest.fixture
def open_model(small_model, tmp_path):
    return small_model(tmp_path / "open.onnx", dims=("n", 3, "h", "w"))


def test_success_has_the_vendors_first_and_last_line_and_side_files(atc, model, tmp_path):
    done = atc(model, "out/deep/m")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "ATC start working now, please wait for a moment."
    assert done.stdout.splitlines()[-1] == "ATC run success, welcome to the next use."
    assert (tmp_path / "out/deep/m.om").is_file()
    fusion = json.loads((tmp_path / "fusion_result.json").read_text())
    passes = fusion["session_and_graph_id_0_0"]["graph_fusion"]
    assert passes["ConvBatchnormFusionPass"] == {"match_times": "1", "effect_times": "1"}
    assert (tmp_path / "kernel_meta").is_dir()


def test_spaces_and_unambiguous_prefixes_are_taken(toolkit, model, tmp_path):
    done = toolkit.run(
        "atc",
        "--model",
        model,
        "--frame",
        "5",
        "-output",
        "m",
        "--soc-version=Ascend310B4",
        "--log=error",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--calibration_data_file=c.txt"], "ERROR: unknown command line flag 'calibration_data_file'"),
        (["--model=a", "stray"], "ERROR: Non-option parameter: stray"),
        (["--model"], "ERROR: flag 'model' is missing its argument"),
        ([], "ERROR: input argument value is empty or command line format is invalid"),
        (["--op=1"], "ERROR: unknown command line flag 'op'"),
    ],
)
def test_a_line_that_is_none_is_told_on_stderr(toolkit, tmp_path, words, error):
    done = toolkit.run("atc", *words, cwd=tmp_path)
    assert done.returncode == 255
    assert done.stderr.strip() == error
    assert "ATC run failed, Please check the detail log, Try 'atc --help' for more information" in done.stdout


REFUSALS = [
    (["--precision_mode=allow_fp32_to_int8"], "E10001"),
    (["--auto_tune_mode=RL,GA"], "E10001"),
    (["--precision_mode=force_fp16", "--precision_mode_v2=fp16"], "E10056"),
    (["--precision_mode_v2=mixed_bfloat16"], "E10001"),
    (["--precision_mode_v2=cube_hif8"], "E10001"),
    (["--log=loud"], "E10010"),
    (["--framework=4"], "E10007"),
    (["--framework=0"], "E10008"),
    (["--disable_reuse_memory=2"], "E10006"),
    (["--input_format=NHWC"], "E10001"),
    (["--input_shape=other:1,3,8,8"], "E10016"),
    (["--input_shape=x:1,3,8"], "E10049"),
    (["--input_shape=x"], "E10002"),
    (["--input_shape=x:1,0,8,8"], "E10011"),
    (["--input_shape=x:1~4,3,8,8"], "E10055"),
    (["--input_shape=x:-1,3,8,8"], "E10055"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=1,2", "--dynamic_dims=1;2"], "E10009"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=4"], "E10035"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=" + ",".join(map(str, range(1, 102)))], "E10036"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=2,2"], "E10039"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=0,2"], "E10038"),
    (["--input_shape=x:1,3,-1,8", "--dynamic_batch_size=1,2"], "E10018"),
    (["--input_shape=x:1,3,8,8", "--dynamic_batch_size=1,2"], "E10031"),
    (["--input_shape=x:-1,3,-1,-1", "--dynamic_image_size=8,8;16,16"], "E10019"),
    (["--input_shape=x:1,3,-1,-1", "--dynamic_image_size=8,8;16"], "E10020"),
    (["--input_shape=x:-1,3,8,8", "--input_format=ND", "--dynamic_dims=1,8;2,8"], "E10045"),
    (["--input_shape=x:-1,3,-1,8", "--input_format=ND", "--dynamic_dims=1;2"], "E10046"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_dims=1;2"], "E10001"),
    (["--out_nodes=nobody:0"], "E11017"),
    (["--output_type=FP99"], "E10001"),
    (["--insert_op_conf=nowhere.cfg"], "E10001"),
    (["--modify_mixlist=nowhere.json"], "E10001"),
    (["--host_env_cpu=riscv"], "E10001"),
    (["--aicore_num=9"], "E10001"),
    (["--op_select_implmode=loud"], "E10001"),
    (["--optypelist_for_implmode=Sigmoid"], "E10001"),
]


@pytest.mark.parametrize(("words", "code"), REFUSALS, ids=lambda value: value if isinstance(value, str) else None)
def test_refusals_carry_the_vendors_code(atc, model, tmp_path, words, code):
    done = atc(model, "m", *words)
    assert done.returncode == 255
    assert f"{code}: " in done.stdout, done.stdout
    assert "TraceBack (most recent call last):" in done.stdout
    assert not (tmp_path / "m.om").exists()


@pytest.mark.parametrize("soc", ["Ascend310B", "Ascend999", "310B4"])
def test_a_vague_chip_is_refused(atc, model, soc):
    done = atc(model, "m", soc=soc)
    assert f"E10001: Value [{soc}] for parameter [--soc_version] is invalid." in done.stdout
    assert "Ascend310B4" in done.stdout


def test_an_empty_chip_has_a_code_of_its_own(atc, model):
    assert "E10054: " in atc(model, "m", soc="").stdout


def test_cann_9_prints_the_newer_error_block(atc, model):
    done = atc(model, "m", "--precision_mode=allow_fp32_to_int8", layout=9)
    head = "[PID: "
    assert head in done.stdout
    assert (
        "Invalid_Argument(E10001): Value allow_fp32_to_int8 for parameter --precision_mode is invalid." in done.stdout
    )


def test_opset_limits_follow_the_emulated_version(atc, small_model, tmp_path):
    model = small_model(tmp_path / "o15.onnx", opset=15)  # BatchNormalization changed in 14 and 15
    refused = atc(model, "m", CANNSIM_CANN_VERSION="5.1.RC2")
    assert "E19010: No parser is registered for Op [norm, optype [ai.onnx::15::BatchNormalization]]." in refused.stdout
    report = json.loads((tmp_path / "check_result.json").read_text())
    assert report["result"] == "failed"
    assert report["op"][0]["type"] == "ai.onnx::15::BatchNormalization"
    assert atc(model, "m", layout=9).returncode == 0


def test_mode_3_only_checks(toolkit, model, tmp_path):
    done = toolkit.run(
        "atc", "--mode=3", f"--model={model}", "--framework=5", "--soc_version=Ascend310B4", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "check_result.json").read_text())["result"] == "success"
    assert not list(tmp_path.glob("*.om"))


def test_modes_1_and_6_read_an_om_and_refuse_a_damaged_one(toolkit, atc, model, tmp_path):
    assert atc(model, "m").returncode == 0
    shown = toolkit.run("atc", "--mode=6", "--om=m.om", cwd=tmp_path)
    assert "soc_version[Ascend310B4]" in shown.stdout
    assert "simulated" in shown.stdout
    assert toolkit.run("atc", "--mode=1", "--om=m.om", "--json=m.json", cwd=tmp_path).returncode == 0
    assert {op["name"] for op in json.loads((tmp_path / "m.json").read_text())["graph"][0]["op"]} >= {"conv1", "conv2"}
    data = bytearray((tmp_path / "m.om").read_bytes())
    data[-20] ^= 1
    (tmp_path / "bad.om").write_bytes(data)
    assert "E10001: " in toolkit.run("atc", "--mode=6", "--om=bad.om", cwd=tmp_path).stdout


def test_mode_5_turns_text_into_json(toolkit, tmp_path):
    (tmp_path / "g.txt").write_text('graph { name: "g" op { name: "a" type: "Data" } op { name: "b" } }')
    assert toolkit.run("atc", "--mode=5", "--om=g.txt", "--json=g.json", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "g.json").read_text())["graph"]["op"][1]["name"] == "b"


def test_a_cross_built_om_carries_system_and_architecture_in_its_name(atc, model, tmp_path):
    import platform

    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    assert atc(model, "m", "--host_env_os=linux", f"--host_env_cpu={other}").returncode == 0
    assert (tmp_path / f"m_linux_{other}.om").is_file()


def test_out_nodes_cut_the_graph_and_change_the_name(atc, run_om, model, tmp_path):
    from onnxruntime import InferenceSession

    done = atc(model, "m", "--out_nodes=relu:0", "--precision_mode_v2=origin")
    assert done.returncode == 0, done.stdout
    assert b"output relu:0 0 2 1,8,8,8\n" in (tmp_path / "m.om").read_bytes()
    x = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    got = run_om(tmp_path / "m.om", x.tobytes())
    assert got.size == 8 * 8 * 8
    assert InferenceSession(str(model)).get_outputs()[0].name == "y"


def test_a_reshape_with_the_exported_size_in_it_is_told_when_another_is_asked(atc, tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"], name="flat")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    shape = numpy_helper.from_array(np.array([1, 192], np.int64), "shape")
    graph = helper.make_graph(nodes, "g", [x], [y], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), tmp_path / "r.onnx")
    done = atc(tmp_path / "r.onnx", "m", "--input_shape=x:2,3,8,8")
    assert "The model cannot take this shape" in done.stdout
    assert atc(tmp_path / "r.onnx", "m").returncode == 0


def test_every_input_with_open_dimensions_needs_a_shape(atc, open_model):
    assert "dimensions that are not fixed" in atc(open_model, "m").stdout
    assert atc(open_model, "m", "--input_shape=x:1,3,16,16").returncode == 0


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_a_file_that_is_no_model_is_refused(atc, tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    done = atc(tmp_path / "m.onnx", "m")
    assert done.returncode == 255
    assert "Traceback (most recent" not in done.stderr
