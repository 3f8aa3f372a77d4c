"""The arithmetic: fp16 rounding of weights and every operator's output, mixed precision, real INT8."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def session(path, optimise: bool = False):
    import onnxruntime as ort

    options = ort.SessionOptions()
    if not optimise:  # else the casts that round would be optimised away
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def network_of(om: Path) -> bytes:
    """The lowered network inside an .om, which ONNX Runtime can run as well."""
    data = om.read_bytes()
    manifest, network = (int.from_bytes(data[at : at + 8], "little") for at in (16, 24))
    assert len(data) == 32 + manifest + network
    return data[32 + manifest :]


@pytest.fixture
def model(small_model, tmp_path):
    return small_model(tmp_path / "small.onnx", dims=(1, 3, 32, 32), pool=False)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)


def on_half_grid(values: np.ndarray) -> bool:
    return bool((values == values.astype(np.float16).astype(np.float32)).all())


def test_fp16_is_the_default_and_differs_from_float_as_rounding_does(atc, run_om, model, x, tmp_path):
    assert atc(model, "m").returncode == 0
    got = run_om(tmp_path / "m.om", x.tobytes()).reshape(1, 4, 32, 32)
    exact = session(str(model)).run(None, {"x": x})[0]
    assert on_half_grid(got)
    assert not np.array_equal(got, exact)
    assert np.abs(got - exact).max() < 0.02 * np.abs(exact).max()
    by_runtime = session(network_of(tmp_path / "m.om")).run(None, {"x": x})[0]
    # Sums may be added in another order; where that crosses a rounding, neighbours on the grid differ.
    assert np.mean(got != by_runtime) < 0.02
    np.testing.assert_allclose(got, by_runtime, rtol=3e-3, atol=3e-3)


def test_origin_keeps_float(atc, run_om, model, x, tmp_path):
    assert atc(model, "m", "--precision_mode_v2=origin").returncode == 0
    got = run_om(tmp_path / "m.om", x.tobytes())
    exact = session(str(model)).run(None, {"x": x})[0].ravel()
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)
    assert not on_half_grid(got)


def test_weights_take_half_the_bytes_in_fp16(atc, model, tmp_path):
    sizes = {}
    for mode in ("fp16", "origin"):
        assert atc(model, mode, f"--precision_mode_v2={mode}").returncode == 0
        text = (tmp_path / f"{mode}.om").read_bytes()
        sizes[mode] = int(text.split(b"\nweight_size ")[1].split(b"\n")[0])
    assert 0.5 <= sizes["fp16"] / sizes["origin"] < 0.62  # biases stay wide


def test_keep_dtype_leaves_an_operator_in_float(atc, run_om, model, x, tmp_path):
    (tmp_path / "keep.txt").write_text("conv2\n")
    assert atc(model, "m", "--keep_dtype=keep.txt").returncode == 0
    assert not on_half_grid(run_om(tmp_path / "m.om", x.tobytes()))
    (tmp_path / "keep.txt").write_text("OpType::Conv2D\n")
    assert atc(model, "m2", "--precision_mode_v2=mixed_float16", "--keep_dtype=keep.txt").returncode == 0
    exact = session(str(model)).run(None, {"x": x})[0].ravel()
    np.testing.assert_allclose(run_om(tmp_path / "m2.om", x.tobytes()), exact, rtol=1e-5, atol=1e-5)


def test_the_mixed_list_can_be_changed(atc, run_om, model, x, tmp_path):
    (tmp_path / "mix.json").write_text('{"black-list": {"to-add": ["Conv2D"]}}')
    done = atc(model, "m", "--precision_mode=allow_mix_precision", "--modify_mixlist=mix.json")
    assert done.returncode == 0, done.stdout
    exact = session(str(model)).run(None, {"x": x})[0].ravel()
    np.testing.assert_allclose(run_om(tmp_path / "m.om", x.tobytes()), exact, rtol=1e-5, atol=1e-5)


def test_switching_the_fusion_off_changes_the_rounding(atc, run_om, model, x, tmp_path):
    (tmp_path / "off.json").write_text('{"Switch": {"GraphFusion": {"ALL": "off"}, "UBFusion": {"ALL": "off"}}}')
    assert atc(model, "on").returncode == 0
    assert atc(model, "off", "--fusion_switch_file=off.json").returncode == 0
    on, off = (run_om(tmp_path / f"{name}.om", x.tobytes()) for name in ("on", "off"))
    assert not np.array_equal(on, off)
    np.testing.assert_allclose(on, off, rtol=2e-2, atol=2e-2)


def test_output_and_input_types_can_be_fp16(atc, toolkit, model, x, tmp_path):
    assert atc(model, "m", "--output_type=FP16", "--input_fp16_nodes=x").returncode == 0
    (tmp_path / "i.bin").write_bytes(x.astype(np.float16).tobytes())
    script = Path(__file__).parent / "run_om.py"
    done = toolkit.run(sys.executable, script, "m.om", "i.bin", "o.bin", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    got = np.fromfile(tmp_path / "o.bin", np.float16).astype(np.float32)
    exact = session(str(model)).run(None, {"x": x})[0].ravel()
    assert np.abs(got - exact).max() < 0.02 * np.abs(exact).max()


def test_a_value_beyond_fp16_becomes_infinite(atc, run_om, identity_model, tmp_path):
    assert atc(identity_model(tmp_path / "id.onnx"), "m").returncode == 0
    x = np.zeros((3, 8, 8), np.float32)
    x[0, 0, :4] = 65504, 65519, 65520, -1e6
    x[0, 1, :3] = 1e-8, 6e-8, 2049
    got = run_om(tmp_path / "m.om", x.tobytes()).reshape(3, 8, 8)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got, x.astype(np.float16).astype(np.float32))
    assert np.isinf(got[0, 0, 2:4]).all()


def calibrate(toolkit, model, folder: Path, batches: int = 4, *options: str, **extra: str):
    (folder / "calib").mkdir(exist_ok=True)
    random = np.random.default_rng(7)
    for at in range(batches):
        random.normal(size=(1, 3, 32, 32)).astype(np.float32).tofile(folder / f"calib/{at}.bin")
    words = ["amct_onnx", "calibration", "--model", model, "--save_path", "./q/m", "--input_shape", "x:1,3,32,32"]
    words += ["--data_dir", "./calib", "--data_type", "float32", *options]
    return toolkit.run(*words, cwd=folder, **extra)


def test_calibration_writes_models_whose_int8_is_executed(toolkit, atc, run_om, model, x, tmp_path):
    done = calibrate(toolkit, model, tmp_path, 4, "--batch_num=4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "q").iterdir()} == {
        "m_deploy_model.onnx", "m_fake_quant_model.onnx", "m_quant.json",
    }  # fmt: skip
    assert (tmp_path / "amct_log/amct_onnx.log").is_file()
    assert atc(tmp_path / "q/m_deploy_model.onnx", "m8").returncode == 0
    assert atc(model, "m16").returncode == 0
    got = run_om(tmp_path / "m8.om", x.tobytes())
    exact = session(str(model)).run(None, {"x": x})[0].ravel()
    fake = session(str(tmp_path / "q/m_fake_quant_model.onnx")).run(None, {"x": x})[0].ravel()
    half = run_om(tmp_path / "m16.om", x.tobytes())
    # a genuine INT8 effect: larger than fp16's, small still, and that of the fake-quant model
    assert np.abs(half - exact).mean() * 3 < np.abs(got - exact).mean() < 0.05 * np.abs(exact).max()
    assert np.abs(got - fake).mean() < 0.25 * np.abs(got - exact).mean()
    assert (tmp_path / "m8.om").stat().st_size < (tmp_path / "m16.om").stat().st_size + 4096


def test_the_profile_names_int8_kernels(toolkit, atc, model, x, tmp_path):
    assert calibrate(toolkit, model, tmp_path).returncode == 0
    assert atc(tmp_path / "q/m_deploy_model.onnx", "m8").returncode == 0
    (tmp_path / "i.bin").write_bytes(x.tobytes())
    script = Path(__file__).parent / "run_om.py"
    done = toolkit.run("msprof", "--output=p", sys.executable, script, "m8.om", "i.bin", "o.bin", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    raw = next(tmp_path.glob("p/PROF_*/device_0/data/*.tsv")).read_text()
    kernels = [line.split("\t")[-1] for line in raw.splitlines() if line.startswith("op\t") and "\tConv2D\t" in line]
    assert kernels
    assert all("I8" in kernel for kernel in kernels), kernels


def test_layers_can_be_left_in_fp16_by_the_configuration(toolkit, model, tmp_path):
    (tmp_path / "q.cfg").write_text('skip_layers: "conv1" common_config { arq_quantize { channel_wise: false } }')
    done = calibrate(toolkit, model, tmp_path, 1, "--calibration_config=q.cfg")
    assert done.returncode == 0, done.stdout
    import json

    layers = json.loads((tmp_path / "q/m_quant.json").read_text())["layers"]
    assert set(layers) == {"conv2"}
    assert len(layers["conv2"]["weight_quantize"]["scale"]) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--batch_num=9",), "has 4 .bin files, batch_num is 9"),
        (("--batch_num=1", "--calibration_config=q.cfg"), "mutually exclusive"),
        (("--calibration_config=q.cfg",), "not in the model: nobody"),
        (("--data_type=float16",), "is not equal to model input size"),
        (("--input_shape=z:1,3,32,32",), "names inputs the model lacks"),
    ],
)
def test_calibration_says_what_is_wrong(toolkit, model, tmp_path, options, text):
    (tmp_path / "q.cfg").write_text('skip_layers: "nobody"')
    done = calibrate(toolkit, model, tmp_path, 4, *options)
    assert done.returncode == 1
    assert text in done.stdout, done.stdout + done.stderr


def test_a_model_trained_with_quantisation_is_converted_with_its_own_scales(toolkit, atc, run_om, model, x, tmp_path):
    """ONNX Runtime's static quantisation stands for the training: QuantizeLinear and DequantizeLinear around layers."""
    assert calibrate(toolkit, model, tmp_path).returncode == 0
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = [
                {"x": np.fromfile(path, np.float32).reshape(1, 3, 32, 32)} for path in (tmp_path / "calib").iterdir()
            ]

        def get_next(self):
            return self.left.pop() if self.left else None

    import onnx

    upgraded = onnx.version_converter.convert_version(onnx.load(model), 13)
    onnx.save(upgraded, tmp_path / "up.onnx")
    quantize_static(
        tmp_path / "up.onnx", tmp_path / "qat.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    done = toolkit.run("amct_onnx", "convert", "--model", "qat.onnx", "--save_path", "c/m", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert atc(tmp_path / "c/m_deploy_model.onnx", "mq").returncode == 0
    got = run_om(tmp_path / "mq.om", x.tobytes())
    wanted = session(str(tmp_path / "qat.onnx")).run(None, {"x": x})[0].ravel()
    assert np.abs(got - wanted).mean() < 0.05 * np.abs(wanted).max()


def test_int8_with_gears_is_refused_and_plain_qdq_is_not_taken_for_int8(toolkit, atc, model, tmp_path):
    assert calibrate(toolkit, model, tmp_path).returncode == 0
    words = ("--input_shape=x:-1,3,32,32", "--dynamic_batch_size=1,2")
    assert "E10055: " in atc(tmp_path / "q/m_deploy_model.onnx", "m", *words).stdout
    assert "E19010: " in atc(tmp_path / "q/m_fake_quant_model.onnx", "m").stdout


def test_op_summary_has_the_columns_of_a_one_core_chip(toolkit, atc, model, x, tmp_path):
    assert atc(model, "m").returncode == 0
    (tmp_path / "i.bin").write_bytes(x.tobytes())
    script = Path(__file__).parent / "run_om.py"
    application = f"--application={sys.executable} {script} m.om i.bin o.bin"
    assert toolkit.run("msprof", "--output=p", application, cwd=tmp_path).returncode == 0
    output = next(tmp_path.glob("p/PROF_*/mindstudio_profiler_output"))
    with next(output.glob("op_summary_*.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    convolution = next(row for row in rows if row["Op Name"] == "conv1")
    assert convolution["OP Type"] == "Conv2D"
    assert convolution["Task Start Time(us)"].endswith("\t")
    assert convolution["Input Shapes"].startswith('"1,3,32,32;')
    assert convolution["mac_ratio"] == "N/A"
    assert "total_cycles" in convolution
    assert "simulated" in (output / "README.txt").read_text()
    assert {path.name.rsplit("_", 1)[0] for path in output.iterdir() if path.suffix == ".csv"} == {
        "op_summary", "op_statistic", "api_statistic", "task_time", "step_trace",
    }  # fmt: skip
