"""Bad input gets one clear error, exit 2, no traceback, and leaves nothing half-written."""

from __future__ import annotations

import io
import os
import pickle
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Edgewright

Made = tuple[str, str]
"""The words after `run`, and what the error must name."""


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def _torch_zip(path: Path, payload: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
    return path


def _yaml(folder: Path, text: str) -> str:
    (folder / "edgewright.yaml").write_text(textwrap.dedent(text))
    return "edgewright.yaml"


def no_such_model(folder: Path) -> Made:
    return "nothing.pt", "nothing.pt"


def no_such_configuration(folder: Path) -> Made:
    return "nothing.yaml", "nothing.yaml"


def truncated_checkpoint(folder: Path) -> Made:
    whole = _torch_zip(folder / "model.pt", pickle.dumps({"model": list(range(10_000))})).read_bytes()
    (folder / "model.pt").write_bytes(whole[: len(whole) // 2])
    return "model.pt", "model.pt"


def malicious_checkpoint(folder: Path) -> Made:
    _torch_zip(folder / "model.pt", pickle.dumps({"model": _Malicious(folder / "pwned")}, protocol=2))
    return "model.pt", "system"


def malicious_legacy_checkpoint(folder: Path) -> Made:
    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, _Malicious(folder / "pwned")):
        pickle.dump(part, stream, protocol=2)
    (folder / "model.pt").write_bytes(stream.getvalue())
    return "model.pt", "system"


def text_called_a_model(folder: Path) -> Made:
    (folder / "model.onnx").write_text("this is no model")
    return "model.onnx", "model.onnx"


def empty_model(folder: Path) -> Made:
    (folder / "model.onnx").write_bytes(b"")
    return "model.onnx", "model.onnx"


def truncated_onnx(folder: Path) -> Made:
    whole = (folder / "tiny.onnx").read_bytes()
    (folder / "half.onnx").write_bytes(whole[: len(whole) // 2])
    return "half.onnx", "half.onnx"


def unknown_operator(folder: Path) -> Made:
    import onnx

    model = onnx.load(folder / "tiny.onnx")
    model.graph.node[1].op_type = "ReluOfNobody"
    onnx.save(model, folder / "odd.onnx")
    return "odd.onnx", "ReluOfNobody"


def shape_that_does_not_fit(folder: Path) -> Made:
    return _yaml(folder, "model: {source: tiny.onnx, inputs: {images: [1, 4, 16, 16]}}"), "images"


def input_that_is_not_there(folder: Path) -> Made:
    return _yaml(folder, "model: {source: tiny.onnx, inputs: {pictures: [1, 3, 16, 16]}}"), "pictures"


def labels_that_are_not_the_classes(folder: Path) -> Made:
    text = "model: tiny.onnx\ntask: {kind: classification, labels: [a, b, c]}\ndata: {validation: pictures}"
    return _yaml(folder, text), "3"


def empty_data(folder: Path) -> Made:
    (folder / "empty").mkdir()
    return _yaml(folder, "model: tiny.onnx\ntask: classification\ndata: {validation: empty}"), "empty"


def data_that_is_not_there(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ntask: classification\ndata: {validation: nowhere}"), "nowhere"


def labels_asked_for_and_missing(folder: Path) -> Made:
    import shutil

    flat = folder / "flat"
    flat.mkdir()
    for number, picture in enumerate(sorted((folder / "pictures").glob("*/*.png"))):
        shutil.copyfile(picture, flat / f"{number}.png")
    text = """\
        model: tiny.onnx
        task: {kind: classification, labels: [a, b, c, d, e, f, g, h, i, j]}
        data: {validation: flat}
        goal: {max_drop: {top1: 1}}
        """
    return _yaml(folder, text), "label"


def unknown_key(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ngaol: {optimise: latency}"), "Did you mean 'goal'?"


def unknown_key_deep_inside(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ntargets: [{name: a, famly: openvino}]"), "Did you mean 'family'?"


def goal_that_contradicts_itself(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ngoal: {max_drop: {map50_95: 1, top1: 1}}"), "contradict"


def promise_given_twice(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ngoal: {latency_p95_ms: 5, latency_p95_ms: 50}"), "twice"


def metric_that_the_task_lacks(folder: Path) -> Made:
    text = "model: tiny.onnx\ntask: classification\ndata: {validation: pictures}\ngoal: {max_drop: {map50: 1}}"
    return _yaml(folder, text), "map50"


def unknown_family(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ntargets: [{family: opnvino}]"), "Did you mean 'openvino'?"


def unknown_transport(folder: Path) -> Made:
    return _yaml(folder, "model: tiny.onnx\ntargets: [{device: 'carrier-pigeon://home'}]"), "carrier-pigeon"


def wrong_yaml(folder: Path) -> Made:
    return _yaml(folder, "model: [tiny.onnx"), "YAML"


def wrong_json(folder: Path) -> Made:
    (folder / "config.json").write_text('{"model_name": ')
    return "config.json", "config.json"


CASES: list[Callable[[Path], Made]] = [
    no_such_model,
    no_such_configuration,
    truncated_checkpoint,
    malicious_checkpoint,
    malicious_legacy_checkpoint,
    text_called_a_model,
    empty_model,
    truncated_onnx,
    unknown_operator,
    shape_that_does_not_fit,
    input_that_is_not_there,
    labels_that_are_not_the_classes,
    empty_data,
    data_that_is_not_there,
    labels_asked_for_and_missing,
    unknown_key,
    unknown_key_deep_inside,
    goal_that_contradicts_itself,
    promise_given_twice,
    metric_that_the_task_lacks,
    unknown_family,
    unknown_transport,
    wrong_yaml,
    wrong_json,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_one_clear_error(
    case: Callable[[Path], Made], edgewright: Edgewright, tiny_onnx: Path, pictures: Path, tmp_path: Path
) -> None:
    what, named = case(tmp_path)
    before = _outside(tmp_path)
    said = edgewright("run", what, "--json")
    assert said.code == 2, said.err
    error = said.json()["error"]
    assert error["message"] and error["remedy"]
    assert named in f"{error['message']} {error['remedy']}"
    assert "Traceback" not in said.err and "Traceback" not in said.out
    assert said.err.count("edgewright: ") == 1
    assert _outside(tmp_path) == before
    assert not [p for p in (tmp_path / "home").rglob("*") if p.name.startswith((".making", ".writing"))]
    assert not list((tmp_path / "home" / "runs").glob("*"))


MISTYPED = (
    ("rollback", "fleet", "There is no file fleet.", "Did you mean fleet.yaml?"),
    ("status", "fleet", "There is no file fleet.", "Did you mean fleet.yaml?"),
    ("logs", "flete.yaml", "There is no file flete.yaml.", "Did you mean fleet.yaml?"),
    ("exec-golden", "nothing-like-it", "There is no file nothing-like-it.", "In . there are all.yaml, fleet.yaml;"),
    ("stop", "away/fleet.yaml", "There is no file away/fleet.yaml.", "There is no folder away either; check the path."),
    ("rollback", "site", "No source can read site as a model.", "site/edgewright.yaml?"),
    ("stop", "all.yaml", "all.yaml is a fleet's file, and this is done with one project.", "Name the project"),
    ("rollback", "nets.py:net", "There is no file nets.py.", "In . there are"),
    ("rollback", "no_such_module:net", "There is no module no_such_module.", "module:factory"),
    ("deploy", "hosts.ini", "No source can read hosts.ini as a model.", "Export it to ONNX"),
)


@pytest.mark.parametrize(("verb", "word", "message", "remedy"), MISTYPED, ids=lambda text: text[:16])
def test_a_mistyped_path_never_means_the_service_of_this_machine(
    verb: str, word: str, message: str, remedy: str, edgewright: Edgewright, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text("model: tiny.onnx\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "edgewright.yaml").write_text("model: tiny.onnx\n")
    (tmp_path / "hosts.ini").write_text("[all]\n")
    (tmp_path / "all.yaml").write_text("fleet: {inventory: hosts.ini}\n")
    said = edgewright(verb, word, "--json")
    assert said.code == 2, said.err
    error = said.json()["error"]
    assert (error["kind"], error["message"]) == ("InputError", message)
    assert remedy in error["remedy"]


def _outside(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if "home" not in p.relative_to(folder).parts}


def test_a_truncated_real_checkpoint_is_refused(shared_dir: Path, edgewright: Edgewright, tmp_path: Path) -> None:
    whole = (shared_dir / "models/yolov5n-coco/yolov5n.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    said = edgewright("run", "half.pt", "--json")
    assert said.code == 2, said.err
    assert "half.pt" in said.json()["error"]["message"]
    assert "Traceback" not in said.err


def test_the_words_of_the_command_line_are_checked(edgewright: Edgewright) -> None:
    for words in (["rnu"], ["run"], ["run", "a", "b"], ["run", "a", "--nonsense"], ["init"], ["report", "nothing"]):
        said = edgewright(*words, "--json")
        assert said.code == 2, words
        assert said.json()["error"]["message"]
