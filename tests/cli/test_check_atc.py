"""check-atc: each mistake of a hand-written command is explained, the corrected command is printed."""

from __future__ import annotations

from tests.cli.conftest import Edgewright

BLOG = (
    "atc --model=yolov5s.onnx --framework=5 --output=yolov5s_int8 --soc_version=Ascend310B "
    "--precision_mode=allow_fp32_to_int8 --calibration_data_file=calibration.txt --log=info"
)
RIGHT = "atc --model=m.onnx --framework=5 --output=m --soc_version=Ascend310B4 --input_shape=x:1,3,8,8"


def test_the_blogs_command_is_explained_corrected_and_ends_with_2(edgewright: Edgewright) -> None:
    said = edgewright("check-atc", BLOG)
    assert said.code == 2, said.err
    for words in ("allow_fp32_to_int8", "calibration_data_file", "Ascend310B4", "amct_onnx calibration"):
        assert words in said.out
    assert said.out.index("Corrected:") < said.out.index("--model=yolov5s_int8_deploy_model.onnx")


def test_as_json_it_is_one_object_with_the_problems(edgewright: Edgewright) -> None:
    said = edgewright("check-atc", BLOG, "--json")
    told = said.json()
    assert said.code == 2 and told["errors"] == 3 and told["complete"]
    assert set(told["problems"][0]) == {"option", "severity", "what", "why", "remedy"}
    assert told["corrected"].startswith("amct_onnx calibration --model yolov5s.onnx")


def test_a_right_command_ends_with_0(edgewright: Edgewright) -> None:
    said = edgewright("check-atc", RIGHT)
    assert said.code == 0 and "No error found" in said.out


def test_what_is_no_atc_command_is_refused_with_2(edgewright: Edgewright) -> None:
    said = edgewright("check-atc", "rm -rf x", "--json")
    assert said.code == 2 and said.json()["error"]["kind"] == "InputError"
