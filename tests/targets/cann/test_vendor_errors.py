"""Failures of the vendor's tools become errors with code, cause and remedy; real runs are of the stand-in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.contracts import Completed
from edgewright.core.errors import ToolError
from edgewright.targets.cann import check_result
from edgewright.targets.cann.vendor_errors import describe_acl, meaning, tool_error

NEW = """ATC start working now, please wait for a moment.
...
ATC run failed, Please check the detail log, Try 'atc --help' for more information
[PID: 4242] 2026-11-22-10:00:00.123.456 Invalid_Node_Name(E10016): Opname [data] of [--input_shape] is not found
        Possible Cause: The name is wrong.
        Solution: Correct the name.
        TraceBack (most recent call last):
"""


def failed(stdout: str = "", stderr: str = "", status: int = 255, tool: str = "atc", **more: Any) -> ToolError:
    return tool_error(tool, Completed(status, stdout, stderr), **more)


def write_model(path: Path, op_type: str = "Relu", opset: int = 11, more: tuple[tuple[str, int], ...] = ()) -> Path:
    """One operator on 1×3×8×8 (a domain may stand before its type)."""
    import onnx
    from onnx import TensorProto, helper

    domain, _, kind = op_type.rpartition("::")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"], "it", domain=domain)], "g", ports[:1], ports[1:])
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*entry) for entry in more)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=7), str(path))
    return path


@pytest.fixture
def atc(toolkit, tmp_path: Path) -> Callable[..., ToolError]:
    """Runs the stand-in's atc, which must fail, and gives our error."""

    def run(*words: str, layout: int = 8, model: Path | None = None) -> ToolError:
        path = model or write_model(tmp_path / "m.onnx")
        command = ["atc", f"--model={path}", "--framework=5", "--output=m", "--soc_version=Ascend310B4", *words]
        done: subprocess.CompletedProcess[str] = toolkit.run(*command, cwd=tmp_path, layout=layout)
        assert done.returncode != 0, done.stdout
        report = tmp_path / "check_result.json"
        checked = check_result.read(report.read_text()) if report.is_file() else None
        return failed(done.stdout, done.stderr, done.returncode, log="/logs/plog", check_result=checked)

    return run


REFUSED = [
    (["--precision_mode=allow_fp32_to_int8"], "E10001", "amct_onnx"),
    (["--input_shape=data:1,3,8,8"], "E10016", "names from the model"),
    (["--input_shape=x:1,3,8,9,1"], "E10049", "shape from the model"),
    (["--log=verbose"], "E10010", "--log=error"),
    (["--soc_version=Ascend310B"], "E10001", "Ascend310B4"),
    (["--precision_mode=force_fp16", "--precision_mode_v2=fp16"], "E10056", "Keep one"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=1,2", "--dynamic_dims=1;2"], "E10009", "--dynamic_dims"),
    (["--input_shape=x:-1,3,8,8", "--dynamic_batch_size=1"], "E10035", "2 to 100"),
    (["--model=missing.onnx"], "E10001", "path"),
    (["--auto_tune_mode=RL"], "E10001", "aoe"),
    (["--input_shape=x:-1,3,8,8"], "E10055", "fixed shape"),
]


@pytest.mark.parametrize("layout", [8, 9])
@pytest.mark.parametrize(("words", "code", "remedy"), REFUSED)
def test_a_refusal_of_the_converter_has_its_code_and_a_remedy(atc, words, code, remedy, layout) -> None:
    error = atc(*words, layout=layout)
    assert error.code == code, error
    assert remedy in error.remedy, error
    assert error.log == "/logs/plog" and error.log in error.remedy and error.exit_code == 4


def test_a_refused_operator_is_named_from_the_pre_checks_report(atc, tmp_path: Path) -> None:
    model = write_model(tmp_path / "q.onnx", "my.ops::Twirl", more=(("my.ops", 1),))
    error = atc(model=model)
    assert error.code == "E19010"
    assert "it (my.ops::11::Twirl): The type is not supported" in error.message


def test_a_file_that_is_no_model_is_said_to_be_none(atc, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model at all")
    assert atc(model=tmp_path / "broken.onnx").code == "E10041"


def test_an_unknown_option_has_no_code_of_its_own_but_a_cause(atc) -> None:
    error = atc("--calibration_data_file=c.txt")
    assert "calibration_data_file" in error.message and "amct_onnx calibration" not in error.message
    assert "amct_onnx" in error.remedy


def test_a_calibration_file_of_the_wrong_size_is_amcts_error(toolkit, tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx", "Relu")
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 3, 8, 8]), ("y", None))]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "c")], "g", ports[:1], ports[1:], [weight])
    opset = [helper.make_opsetid("", 11)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=7), str(tmp_path / "m.onnx"))
    (tmp_path / "calib").mkdir()
    (tmp_path / "calib/0.bin").write_bytes(bytes(12))
    words = ["--model", "m.onnx", "--save_path", "out/m", "--data_dir", "calib", "--data_types", "float32"]
    done = toolkit.run("amct_onnx", "calibration", *words, cwd=tmp_path)
    error = failed(done.stdout, done.stderr, done.returncode, tool="amct_onnx")
    assert "input image size" in error.message and "whole batch" in error.remedy


def test_the_new_block_is_read_with_its_title() -> None:
    error = failed(NEW)
    assert error.code == "E10016"
    assert error.message.startswith("atc failed with E10016 (Invalid Node Name): Opname [data]")


def test_the_old_block_is_read_and_its_title_looked_up() -> None:
    error = failed("E10016: Opname [data] specified in [--input_shape] is not found\n")
    assert error.code == "E10016" and "(Invalid Node Name)" in error.message


def test_a_telling_code_wins_over_an_inner_error_before_it() -> None:
    error = failed("E19999: Inner Error!\nEZ3003: No supported Ops kernel and engine are found for [a], optype [B].\n")
    assert error.code == "EZ3003" and "opp package" in error.remedy


def test_an_inner_error_is_told_by_the_line_that_says_something() -> None:
    error = failed("EZ9999: Inner Error!\nEZ9999: [PID: 7] 2023-05-01-10:00:00.1 Add node a: int64 and int32 differ\n")
    assert error.code == "EZ9999" and "Add node a" in error.message and "PID" not in error.message
    assert "INT32" in error.remedy


def test_the_block_of_cann_6_and_7_is_read_without_its_process_and_time() -> None:
    error = failed("E10016: [PID: 41] 2023-05-01-10:00:00.123 Opname [data] is not found in the model\n")
    assert error.message.startswith("atc failed with E10016 (Invalid Node Name): Opname [data]")


def test_a_code_without_a_colon_is_read_too() -> None:
    lines = [
        "EZ9999: Internal Error!",
        "EZ9999  Aicore kernel execute failed, device_id=0, stream_id=11",
        "        TraceBack",
    ]
    error = failed("\n".join(lines))
    assert (
        error.code == "EZ9999" and "Aicore kernel execute failed" in error.message and "smaller batch" in error.remedy
    )


def test_a_line_of_amct_inside_atc_is_told_without_process_and_place() -> None:
    start = "[ERROR] AMCT(21177,atc.bin):2023-04-14-14:43:17[utils_acl.cpp:133]"
    error = failed(f"{start}input image size[1579014] is not equal to model input size[3158028]\n")
    assert error.message.startswith("atc failed: input image size[1579014]") and "whole batch" in error.remedy


def test_the_vendors_own_advice_is_taken_where_ours_has_none() -> None:
    error = failed(NEW.replace("E10016", "E50012").replace("Opname", "Op"))
    assert error.code == "E50012" and error.remedy.startswith("Correct the name.")


def test_without_any_code_the_plain_line_is_the_message() -> None:
    error = failed("", "Traceback …\nModuleNotFoundError: No module named 'sympy'\n", 1)
    assert error.code == "" and "No module named 'sympy'" in error.message and "sympy" in error.remedy


@pytest.mark.parametrize(
    ("stderr", "status", "words"),
    [
        ("", 137, "killed"), ("", -9, "killed"), ("", 139, "crashed"), ("", 127, "not found"), ("", 1, "no reason"),
        ("AttributeError: `np.float_` was removed in the NumPy 2.0 release.", 1, "numpy"),
        ("dcmi module initialize failed. ret is -8005", 1, "-8005"),
    ],
)  # fmt: skip
def test_what_the_shell_and_the_machine_say_is_understood(stderr: str, status: int, words: str) -> None:
    error = failed("", stderr, status)
    assert words in error.message + error.remedy


def test_huge_and_hostile_output_is_bounded_and_cannot_command_a_terminal() -> None:
    error = failed("x" * 50_000_000 + "\n\x1b[2J\x1b]0;owned\x07E10016: Opname [\x1b[31m" + "a" * 9_000 + "]\n")
    assert error.code == "E10016"
    assert len(str(error)) < 1500 and error.message.isprintable() and "\x1b" not in error.remedy


@given(st.text(max_size=400), st.text(max_size=400), st.integers(-20, 300))
@settings(max_examples=100, deadline=None)
def test_any_output_gives_an_error_in_sentences(out: str, err: str, status: int) -> None:
    error = failed(out, err, status)
    assert error.message.isprintable() and error.message.endswith((".", "…", "!", "?")) and error.remedy


def test_every_code_of_the_vendors_table_has_a_meaning(shared_dir: Path) -> None:
    lines = (shared_dir / "reference/cann_error_codes.tsv").read_text().splitlines()[1:]
    codes = [line.split("\t")[0] for line in lines]
    assert len(codes) == 518 and all(meaning(code)[1] for code in codes)
    assert meaning("E10016")[0] == "Invalid Node Name" and meaning("E00000") == ("", "")


@pytest.mark.parametrize(
    ("code", "word"),
    [(0, "Success"), (100002, "second time"), (107002, "no context"), (507899, "HwHiAiUser"), (145013, "gear"),
     (545001, "newer CANN"), (507999, "inside"), (-7, "published")],
)  # fmt: skip
def test_codes_of_ascendcl_are_explained(code: int, word: str) -> None:
    assert word in " ".join(describe_acl(code))


# -- check_result.json


def test_the_pre_checks_report_becomes_findings_by_type() -> None:
    refused = {
        "name": "r1",
        "type": "ai.onnx::13::Resize",
        "result": "failed",
        "cause": [{"code": 1, "message": "No."}],
    }
    report = {"result": "failed", "op": [refused, {**refused, "name": "r2"}, {"name": "ok", "result": "success"}]}
    (finding,) = check_result.findings(check_result.read(json.dumps(report)))
    assert finding.severity == "error" and "2 operators" in finding.detail
    assert check_result.refused(report) == ("r1 (ai.onnx::13::Resize): No", "r2 (ai.onnx::13::Resize): No")


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@settings(max_examples=100, deadline=None)
def test_a_foreign_report_is_read_or_refused(content: Any) -> None:
    try:
        report = check_result.read(json.dumps({"op": content, "result": content}))
    except check_result.InputError:
        return
    check_result.refused(report), check_result.findings(report)
