"""Commands of atc: built ones are accepted, hand-written ones are explained and corrected."""

from __future__ import annotations

import importlib
import shlex
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.errors import ConfigError, InputError
from edgewright.targets.cann import atc_options, soc
from edgewright.targets.cann.atc_command import build, review
from edgewright.targets.cann.atc_line import parse

BLOG = (
    "atc --model=yolov5s.onnx --framework=5 --output=yolov5s_int8 --soc_version=Ascend310B "
    "--precision_mode=allow_fp32_to_int8 --calibration_data_file=calibration.txt --log=info"
)
PLAIN = "atc --model=m.onnx --framework=5 --output=m --soc_version=Ascend310B4"


@pytest.fixture(scope="module")
def stand_in(root: Path):
    """Modules of the stand-in's atc, which needs no installation to take a line apart."""
    sys.path.insert(0, str(root / "cannsim" / "python"))
    yield {name: importlib.import_module(f"cannsim_tools.atc.{name}") for name in ("flags", "shapes")}
    sys.path.remove(str(root / "cannsim" / "python"))


def convolution(shape: tuple[int | str, ...]) -> onnx.ModelProto:
    """One convolution from "x" to "y"."""
    weight = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", None))]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "c")], "g", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)


def problem(text: str, option: str, severity: str = "error", **known: str):
    """The one problem of that option; fails where there is none."""
    found = [one for one in review(text, **known).problems if one.option == option and one.severity == severity]
    assert found, review(text, **known).problems
    return found[0]


def corrected(text: str, **known: str) -> dict[str, str]:
    """The settings of the corrected atc command."""
    command = review(text, **known).corrected
    return parse(command[command.index("atc ") :]).settings


# -- the well-known blog's command


def test_the_blogs_command_has_three_mistakes_each_explained() -> None:
    found = review(BLOG)
    assert {one.option for one in found.errors} == {"soc_version", "precision_mode", "calibration_data_file"}
    assert "INT8" in problem(BLOG, "precision_mode").why
    assert "amct_onnx calibration --data_dir" in problem(BLOG, "calibration_data_file").remedy
    assert "Ascend310B4" in problem(BLOG, "soc_version").remedy and "Ascend310B1" in problem(BLOG, "soc_version").remedy


def test_the_blogs_command_becomes_amct_and_then_atc() -> None:
    found = review(BLOG)
    amct, _, atc = found.corrected.partition("\natc ")
    words = shlex.split(amct.replace("\\\n", " "))
    assert words[:4] == ["amct_onnx", "calibration", "--model", "yolov5s.onnx"]
    assert words[words.index("--save_path") + 1] == "./yolov5s_int8"
    assert corrected(BLOG) == {
        "model": "yolov5s_int8_deploy_model.onnx", "framework": "5", "output": "yolov5s_int8",
        "soc_version": "Ascend310B4", "log": "info",
    }  # fmt: skip
    assert atc and found.complete
    assert not review(f"atc {atc}").errors


def test_amct_gets_the_shape_that_the_command_has() -> None:
    found = review(f"{BLOG} --input_shape='images:1,3,640,640'")
    assert "--input_shape images:1,3,640,640" in found.corrected.partition("\natc ")[0]


def test_amct_calibrates_at_one_fixed_shape_where_gears_were_wanted() -> None:
    found = review(f"{BLOG} --input_shape='images:-1,3,640,640' --dynamic_batch_size=1,2")
    amct, _, atc = found.corrected.partition("\natc ")
    assert "--input_shape images:1,3,640,640" in amct and "dynamic_batch_size" not in atc and found.complete


# -- one mistake each: text, option, what stands in the corrected command (None: gone)

MISTAKES = [
    (f"{PLAIN} --precision_mode=allow_mix_precision --precision_mode_v2=fp16", "precision_mode", None),
    (f"{PLAIN} --precision_mode=mixed_float16", "precision_mode", None),
    (f"{PLAIN} --precision_mode_v2=mixed_hif8", "precision_mode_v2", "mixed_float16"),
    (f"{PLAIN} --precision_mode_v2=FP16", "precision_mode_v2", "fp16"),
    (f"{PLAIN} --log=verbose", "log", "error"),
    (f"{PLAIN} --log=warn", "log", "warning"),
    (f"{PLAIN} --auto_tune_mode='RL,GA'", "auto_tune_mode", None),
    (f"{PLAIN} --input_format=NHWC", "input_format", None),
    (f"{PLAIN} --insert_op_conf=a.cfg --input_format=ND", "input_format", None),
    (f"{PLAIN} --modify_mixlist=l.json --precision_mode_v2=fp16", "modify_mixlist", None),
    (f"{PLAIN} --output_type=float16", "output_type", "FP16"),
    (f"{PLAIN} --output_type=n:0:HIF8 --out_nodes=n:0", "output_type", None),
    (f"{PLAIN} --enable_small_channel=true", "enable_small_channel", None),
    (f"{PLAIN} --host_env_cpu=arm64", "host_env_cpu", None),
    (f"{PLAIN} --input_shape=x:-1,3,8,8", "input_shape", "x:1,3,8,8"),
    (f"{PLAIN} --input_shape=1,3,8,8", "input_shape", None),
    (f"{PLAIN} --input_shape=x:1,3,8,8 --dynamic_batch_size=1,2", "input_shape", "x:-1,3,8,8"),
    (f"{PLAIN} --input_shape=x:1,3,8,8 --dynamic_image_size='8,8;16,16'", "input_shape", "x:1,3,-1,-1"),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --dynamic_dims='1;2'", "input_format", "ND"),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --input_format=ND --dynamic_dims='1;2' --dynamic_batch_size=1,2",
     "dynamic_batch_size", None),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --dynamic_dims='1;2' --insert_op_conf=a.cfg", "dynamic_dims", None),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --dynamic_batch_size=1,2,2", "dynamic_batch_size", "1,2"),
    ("atc --model=m.onnx --output=m --soc_version=Ascend310B4", "framework", "5"),
    ("atc --model=m.pb --framework=5 --output=m --soc_version=Ascend310B4", "framework", "3"),
    ("atc --model=m.onnx --framework=5 --soc_version=Ascend310B4", "output", "m"),
    ("atc --model=m.onnx --framework=5 --output=out/ --soc_version=Ascend310B4", "output", "out/m"),
    ("atc --model=m.onnx --framework=5 --output='a b' --soc_version=Ascend310B4", "output", "a_b"),
    ("atc --model=m.onnx --framework=5 --output=m", "soc_version", "Ascend310B4"),
    ("atc --model=m.onnx --framework=5 --output=m --soc_version=310p", "soc_version", "Ascend310P3"),
    ("atc --model=m.onnx --framework=5 --output=m --soc_version=ascend310b4", "soc_version", "Ascend310B4"),
    ("atc --model=m_deploy_model.onnx --framework=5 --output=m --soc_version=Ascend310B4 "
     "--input_shape=x:-1,3,8,8 --dynamic_batch_size=1,2", "dynamic_batch_size", None),
    ("atc --model=m_deploy_model.onnx --framework=5 --output=m --soc_version=Ascend310B4 --precision_mode=force_fp32",
     "precision_mode", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "option", "value"), MISTAKES)
def test_a_mistake_is_named_and_corrected(text: str, option: str, value: str | None) -> None:
    one = problem(text, option)
    assert one.what.endswith(".") and one.why.endswith(".") and one.remedy.endswith(".")
    assert corrected(text).get(option) == value
    again = review(text)
    assert again.complete
    assert not review(again.corrected[again.corrected.index("atc ") :]).errors


ONLY_ITS_AUTHOR_KNOWS = [
    (f"{PLAIN} --input_shape=x:1,3,-1,-1", "input_shape"),
    (f"{PLAIN} --input_shape=x:1~4,3,8,8", "input_shape"),
    (f"{PLAIN} --input_shape=x:1,3,0,8", "input_shape"),
    (f"{PLAIN} --input_shape_range=x:1~4,3", "input_shape_range"),
    (f"{PLAIN} --input_shape=x:-1,3,-1,8 --dynamic_batch_size=1,2", "input_shape"),
    (f"{PLAIN} --input_shape=x:-1,3,8,-1 --dynamic_image_size='8,8;16,16'", "input_shape"),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --dynamic_batch_size=4", "dynamic_batch_size"),
    (f"{PLAIN} --input_shape=x:-1,3,8,8 --dynamic_batch_size=1,two", "dynamic_batch_size"),
    (f"{PLAIN} --input_shape=x:-1,-1 --input_format=ND --dynamic_dims='1;2'", "dynamic_dims"),
    (f"{PLAIN} --dynamic_batch_size=1,2", "dynamic_batch_size"),
    ("atc --framework=5 --output=m --soc_version=Ascend310B4", "model"),
    ("atc --mode=6", "om"),
    ("atc --mode=1 --om=m.om", "json"),
]


@pytest.mark.parametrize(("text", "option"), ONLY_ITS_AUTHOR_KNOWS)
def test_what_only_its_author_knows_is_asked_for_and_not_invented(text: str, option: str) -> None:
    problem(text, option)
    assert not review(text).complete


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("--output=m.om", "output"),
        ("--op_select_implmode=high_precision", "op_select_implmode"),
        ("--keep_dtype=k.txt --precision_mode_v2=origin", "keep_dtype"),
        ("--host_env_cpu=x86_64 --host_env_os=linux", "host_env_cpu"),
        ("--weight=m.caffemodel", "weight"),
        ("--log=error --log=info", "log"),
        ("--output_type=n:0:FP16", "output_type"),
        ("--compression_optimize_conf=c.cfg", "compression_optimize_conf"),
        ("--insert_op_conf=a.cfg --input_fp16_nodes=x", "input_fp16_nodes"),
    ],
)
def test_what_works_and_should_not_stay_is_a_warning(words: str, option: str) -> None:
    problem(f"{PLAIN} {words}", option, "warning")
    assert not review(f"{PLAIN} {words}").errors


def test_gears_are_at_most_100_and_256_on_950() -> None:
    gears = ",".join(str(n) for n in range(1, 151))
    text = f"atc --model=m.onnx --framework=5 --output=m --input_shape=x:-1,3,8,8 --dynamic_batch_size={gears}"
    assert "E10036" in problem(f"{text} --soc_version=Ascend310B4", "dynamic_batch_size").why
    assert corrected(f"{text} --soc_version=Ascend310B4")["dynamic_batch_size"].count(",") == 99
    assert not review(f"{text} --soc_version=Ascend950PR").errors


def test_scalar_inputs_stand_without_figures_beside_gears() -> None:
    assert not review(f"{PLAIN} --input_shape='a:-1,3;b:;c:4' --dynamic_batch_size=1,2").errors
    assert corrected(f"{PLAIN} --input_shape='a:1,3;b:' --dynamic_batch_size=1,2")["input_shape"] == "a:-1,3;b:"


def test_frameworks_have_their_own_limits() -> None:
    caffe = "atc --model=m.prototxt --weight=m.caffemodel --framework=0 --output=m --soc_version="
    assert "framework" not in {one.option for one in review(f"{caffe}Ascend310B4").problems}
    problem(f"{caffe}Ascend910B3", "framework", "warning")
    air = "atc --model=m.air --framework=1 --output=m --soc_version=Ascend310B4"
    problem(f"{air} --input_shape=x:1,3", "input_shape", "warning")
    assert corrected(f"{air} --mode=3")["mode"] == "0"


def test_ranges_are_refused_on_310b_alone() -> None:
    text = "atc --model=m.onnx --framework=5 --output=m --input_shape=x:1~4,3,8,8 --soc_version="
    assert review(f"{text}Ascend310B1").errors and not review(f"{text}Ascend310P3").errors


def test_the_chip_of_the_device_wins_over_the_commands() -> None:
    assert "Ascend310B1" in problem(PLAIN, "soc_version", soc_version="Ascend310B1").remedy
    assert corrected(PLAIN, soc_version="Ascend310B1")["soc_version"] == "Ascend310B1"


def test_an_old_910b_is_asked_about_and_not_refused() -> None:
    text = PLAIN.replace("Ascend310B4", "Ascend910B")
    assert "910B1" in problem(text, "soc_version", "warning").what and not review(text).errors


def test_options_newer_than_the_toolkit_are_told() -> None:
    text = f"{PLAIN} --topo_sorting_mode=1"
    problem(text, "topo_sorting_mode", "warning", cann="8.1.RC1")
    assert not [one for one in review(text, cann="9.1.0").problems if one.option == "topo_sorting_mode"]


def test_the_corrected_command_of_the_blog_runs_as_it_is_printed(toolkit, tmp_path: Path) -> None:
    onnx.save(convolution((1, 3, 8, 8)), tmp_path / "yolov5s.onnx")
    (tmp_path / "calibration").mkdir()
    np.random.default_rng(0).random((1, 3, 8, 8), np.float32).tofile(tmp_path / "calibration/0.bin")
    done = toolkit.run("bash", "-ec", review(BLOG).corrected, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("yolov5s_int8*.om"))


# -- how a line is read


def test_the_line_is_read_as_getopt_would() -> None:
    line = parse("sudo ASCEND_X=1 /opt/atc -model m.onnx --frame 5 --output='a' \\\n  --soc-version=Ascend310B4 # so\n")
    assert line.settings == {"model": "m.onnx", "framework": "5", "output": "a", "soc_version": "Ascend310B4"}
    assert line.before == ("sudo", "ASCEND_X=1") and line.program == "/opt/atc" and not line.problems


def test_missing_quotes_are_told_and_the_value_is_read_whole() -> None:
    text = f"{PLAIN} --input_shape=a:1,3;b:1,5 --log=error"
    assert "quotes" in problem(text, "input_shape").what
    assert corrected(text)["input_shape"] == "a:1,3;b:1,5" and corrected(text)["log"] == "error"
    assert "--input_shape='a:1,3;b:1,5'" in review(text).corrected


def test_what_follows_the_command_is_not_read() -> None:
    for end in ("; echo --log=debug", " && ls", " | tee log", "\necho --log=debug", " > log 2>&1"):
        assert parse(PLAIN + end).settings == parse(PLAIN).settings, end


def test_the_first_command_of_atc_in_a_script_is_read() -> None:
    script = f"#!/bin/bash\nsource /usr/local/Ascend/set_env.sh\ncd work\n# convert\n{PLAIN} \\\n --log=error\nls"
    assert parse(script).settings == {**parse(PLAIN).settings, "log": "error"}


def test_typographic_quotes_and_dashes_of_web_pages_are_told() -> None:
    text = "atc –model=m.onnx —framework=5 --output=m --soc_version=Ascend310B4 --input_shape=“x:1,3；y:1”"
    assert "typographic" in problem(text, "").what
    assert corrected(text)["input_shape"] == "x:1,3;y:1" and corrected(text)["model"] == "m.onnx"


def test_ambiguous_and_unknown_options_are_told() -> None:
    assert "output_type" in problem(f"{PLAIN} --out=x", "out").why
    assert corrected(f"{PLAIN} --input_shap_=x:1,3,8,8").get("input_shape") == "x:1,3,8,8"
    assert problem(f"{PLAIN} stray", "").what.startswith("'stray'")
    assert problem(f"{PLAIN} --insert_op_conf", "insert_op_conf").what.endswith("has no value.")


def test_what_the_shell_fills_in_stays_open_to_it() -> None:
    found = review(
        "atc --model=$HOME/m.onnx --framework=5 --output=${OUT} --soc_version=Ascend310B4 --input_shape=$SHAPE"
    )
    assert '--model="$HOME/m.onnx"' in found.corrected and not found.errors
    open_chip = review("atc --model=m.onnx --framework=$F --output=m --soc_version=$SOC --precision_mode_v2=$MODE")
    assert not open_chip.errors and "$SOC" in open_chip.corrected
    assert "'$(reboot)'" in review(PLAIN.replace("=m.onnx", "='$(reboot)'")).corrected


@pytest.mark.parametrize("text", ["", "ls -l", "amct_onnx calibration --model=m", "atc \x1b[2J", "atc " + "a" * 70_000])
def test_what_is_no_command_of_atc_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        review(text)


# -- building

FIXED = {"model": "m.onnx", "framework": "5", "output": "m"}


def test_a_command_is_built_in_the_tables_order() -> None:
    made = build({"log": "error", **FIXED, "input_shape": "x:1,3,8,8"}, soc_version="Ascend310B4", cann="8.1.RC1")
    assert made == (
        "--model=m.onnx", "--framework=5", "--output=m", "--soc_version=Ascend310B4", "--input_shape=x:1,3,8,8",
        "--log=error",
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"precision_mode": "allow_fp32_to_int8"}, {"calibration_data_file": "c.txt"}, {"log": "verbose"},
        {"precision_mode": "force_fp16", "precision_mode_v2": "fp16"}, {"input_shape": "x:1~4,3,8,8"},
        {"output": "a\nb"},
        {"log": "$LEVEL"}, {"soc_version": "Ascend310P3"}, {"auto_tune_mode": "RL"}, {"framework": "7"},
    ],
)  # fmt: skip
def test_what_the_table_refuses_is_not_built(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        build({**FIXED, **wrong}, soc_version="Ascend310B4", cann="8.1.RC1")


def test_a_vague_chip_is_not_built_for() -> None:
    with pytest.raises(ConfigError, match="family of chips"):
        build(FIXED, soc_version="Ascend310B", cann="")


PATHS = st.from_regex(r"[a-zA-Z0-9_./-]{1,12}[a-z0-9]", fullmatch=True)
FREE = {
    name: st.sampled_from(option.values) if option.values else PATHS
    for name, option in atc_options.options().items()
    if not option.removed and option.kind not in ("switch", "shape", "gears") and name not in ("soc_version", "mode")
}
GEARS = st.sampled_from(["dynamic_batch_size", "dynamic_image_size", "dynamic_dims"])
SHAPES = st.lists(st.tuples(PATHS, st.lists(st.sampled_from([-1, 1, 3, 8]), min_size=1, max_size=5)), max_size=3)


@st.composite
def commands(draw: st.DrawFn) -> dict[str, str]:
    """Settings that are mostly permitted: a network, and up to four more options."""
    chosen = draw(st.lists(st.sampled_from(sorted(FREE)), max_size=4, unique=True))
    made = {**FIXED, **{name: draw(FREE[name]) for name in chosen}}
    made |= {"framework": "5", "model": draw(st.sampled_from(["m.onnx", "m_deploy_model.onnx", "a/b.onnx"]))}
    if shapes := draw(SHAPES):
        made["input_shape"] = ";".join(f"{name}:{','.join(map(str, dims))}" for name, dims in shapes)
    if draw(st.booleans()):
        made[draw(GEARS)] = draw(st.sampled_from(["1,2", "1,2;3,4", "1;2", "8,8,8;9,9,9"]))
    return made


@given(made=commands(), chip=st.sampled_from(soc.KNOWN), cann=st.sampled_from(["8.1.RC1", "9.1.0", ""]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_built_is_reviewed_without_an_error_and_parsed_by_the_stand_in(
    stand_in, made: dict[str, str], chip: str, cann: str
) -> None:
    try:
        words = build(made, soc_version=f"{chip}!" if chip == "Ascend910B" else chip, cann=cann)
    except ConfigError:
        assume(False)
    assert not review(["atc", *words], cann=cann).errors
    assert not review(shlex.join(["atc", *words]), cann=cann).errors
    known = [word for word in words if word[2:].partition("=")[0] in stand_in["flags"].FLAGS]
    options = stand_in["flags"].parse(known)
    gears = any(options[name] for name in ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims"))
    if gears or not (options["input_shape_range"] or "-1" in options["input_shape"]):
        assert (stand_in["shapes"].parse_gears(options) is not None) == gears


WORDS = st.one_of(
    st.sampled_from(
        [
            "--model=m.onnx", "--model", "m.pb", "--framework=5", "--output=m.om", "--soc_version=Ascend310B", "-h",
            "--precision_mode=int8", "--precision_mode_v2=mixed_hif8", "--dynamic_dims=1;2", "--dynamic_batch_size=1,2",
            "--input_shape=x:-1,3;y:1", "--input_format=ND", "--insert_op_conf=a", "--calibration_data_file=c",
            "--mode=3", "--log", "\\\n", "'", '"', ";", "--op_select_implmode=high", "--keep_dtype=k", "$X",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12),
)  # fmt: skip


@given(words=st.lists(WORDS, max_size=10))
@settings(max_examples=300, deadline=None)
def test_any_line_is_explained_or_refused_and_what_is_called_complete_is(words: list[str]) -> None:
    try:
        found = review("atc " + " ".join(words))
    except InputError:
        return
    if found.complete:
        command = found.corrected
        command = command.partition("\natc ")[2] if command.startswith("amct_onnx") else command.removeprefix("atc")
        assert not review(f"atc {command}").errors


GEARED = {"input_shape": "x:-1,3,8,8"}
TAKEN = [
    {},
    {"precision_mode_v2": "mixed_float16", "modify_mixlist": "lists.json", "log": "error"},
    {"precision_mode": "must_keep_origin_dtype", "op_precision_mode": "ops.ini"},
    {"keep_dtype": "names.txt", "precision_mode_v2": "mixed_float16", "enable_small_channel": "1"},
    {"fusion_switch_file": "switch.cfg", "buffer_optimize": "off_optimize", "export_compile_stat": "2"},
    {"insert_op_conf": "aipp.cfg", "input_format": "NCHW", "input_shape": "x:1,3,8,8"},
    {**GEARED, "dynamic_batch_size": "1,2", "host_env_os": "linux", "host_env_cpu": "aarch64"},
    {"input_shape": "x:1,3,-1,-1", "dynamic_image_size": "8,8;16,16"},
    {"input_shape": "x:-1,3,-1,8", "input_format": "ND", "dynamic_dims": "1,8;2,16"},
]


@pytest.mark.parametrize("more", TAKEN, ids=lambda more: next(iter(more), "plain"))
def test_the_converter_takes_what_is_built(toolkit, tmp_path: Path, more: dict[str, str]) -> None:
    onnx.save(
        convolution(("n", 3, "h", "w") if "-1" in more.get("input_shape", "") else (1, 3, 8, 8)), tmp_path / "m.onnx"
    )
    (tmp_path / "lists.json").write_text('{"black-list": {"to-add": ["Conv2D"]}}')
    (tmp_path / "ops.ini").write_text("[ByOpType]\nSigmoid=high_performance\n")
    (tmp_path / "names.txt").write_text("OpType::Conv2D\n")
    (tmp_path / "switch.cfg").write_text("ConvBatchnormFusionPass:off\n")
    (tmp_path / "aipp.cfg").write_text("aipp_op {\n aipp_mode: static\n input_format: RGB888_U8\n}\n")
    words = build({**FIXED, **more}, soc_version="Ascend310B4", cann="8.1.RC1")
    done = toolkit.run("atc", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
