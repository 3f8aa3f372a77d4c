"""task_data.hpp: the whole file for one service, and what is refused before anything is written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import port, service, steps

from edgewright.codegen.program import HEADER, SOURCES, write_program
from edgewright.codegen.task_data import backend_of, literal, task_data
from edgewright.core.errors import InputError
from edgewright.core.model import Step
from edgewright.core.recipe import EngineSpec, ServiceSpec

GOLDEN = Path(__file__).parent / "golden" / "task_data.hpp"


def ascend_service(**changes: Any) -> ServiceSpec:
    roles = ["head_8", "head_16"]
    anchors = [[(10.0, 13.0), (16.0, 30.0)], [(30.0, 61.0), (62.0, 45.0)]]
    post = steps(
        ("yolov5_heads", {"roles": roles, "strides": [8, 16], "anchors": anchors, "layout": "NCHW"}),
        ("nms", {"class_wise": True}),
        ("unletterbox", {}),
    )
    pre = steps(
        ("letterbox", {"size": [96, 128], "value": 114, "centre": True, "scale_up": True}), ("layout", {"to": "NHWC"})
    )
    entry = EngineSpec(
        "model/main.om",
        {"device": 0, "inputs": ["images"], "outputs": ["/model/24/m.0/Conv_output_0", "b"]},
        (port("images", (1, 96, 128, 3), "uint8", "image"),),
        (
            port("/model/24/m.0/Conv_output_0", (1, 16, 12, 16), role="head_8"),
            port("b", (1, 16, 6, 8), role="head_16"),
        ),
    )
    return replace(service(pre, post, entry, family="cann"), simulated=True, **changes)


def test_the_header_of_an_ascend_detector_is_the_one_kept_here() -> None:
    assert task_data(ascend_service(), "ascendcl") == GOLDEN.read_text(encoding="utf-8")


def test_a_project_is_the_sources_as_they_are_and_one_generated_header(tmp_path: Path) -> None:
    program = write_program(ascend_service(), tmp_path)
    assert program.backend == "ascendcl"
    kept = {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in SOURCES.rglob("*") if path.is_file()}
    assert HEADER not in kept
    written = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert written.pop(HEADER).decode() == GOLDEN.read_text(encoding="utf-8")
    assert written == kept


def test_writing_again_touches_nothing_that_is_the_same(tmp_path: Path) -> None:
    write_program(ascend_service(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.cpp")}
    write_program(ascend_service(name="other"), tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.cpp")}


@given(st.text())
def test_any_text_is_one_string_literal_that_means_it(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()  # half a surrogate pair is no text
    written = literal(text)
    assert written[0] == written[-1] == '"' and "\n" not in written and "??" not in written
    assert re.fullmatch(r'"(\\[0-7]{3}|\\["\\]|[^"\\])*"', written)

    def meant(match: re.Match[str]) -> str:
        return chr(int(match[1], 8)) if match[1] else match[2]

    # Octal escapes are bytes, everything else is UTF-8 as it stands.
    plain = written[1:-1].encode("utf-8").decode("latin-1")
    assert re.sub(r'\\(?:([0-7]{3})|(["\\]))', meant, plain).encode("latin-1").decode("utf-8") == text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, task=replace(s.task, kind="tensors")), "no C++ program for the task 'tensors'"),
        (lambda s: replace(s, engines={**s.engines, "second": s.engines["main"]}), "has several"),
        (lambda s: replace(s, task=replace(s.task, preprocess=())), "takes tensors"),
        (lambda s: replace(s, task=replace(s.task, preprocess=(Step("blur"),))), "no step 'blur'"),
        (lambda s: replace(s, task=replace(s.task, postprocess=(Step("nms"),))), "no post-processing 'decoder'"),
        (lambda s: replace(s, task=replace(s.task, postprocess=(*s.task.postprocess, Step("track")))), "'track'"),
    ],
)
def test_what_the_program_cannot_do_is_refused_by_name(change: Any, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        task_data(change(ascend_service()), "ascendcl")


def test_a_backend_is_that_of_the_family_unless_one_is_asked_for() -> None:
    assert backend_of(ascend_service()) == "ascendcl"
    assert backend_of(ascend_service(), "openvino") == "openvino"
    assert backend_of(replace(ascend_service(), family="onnxruntime")) == "openvino"
    for family, asked in (("torch", None), ("cann", "cuda")):
        with pytest.raises(InputError, match="no C\\+\\+ backend"):
            backend_of(replace(ascend_service(), family=family), asked)
