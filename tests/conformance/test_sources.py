"""Every member of the sources room keeps the contract of `core.contracts.Source`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import sources
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.model import Model, ModelSpec

FACTORY = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
"""


def _null(folder: Path) -> ModelSpec:
    return ModelSpec("null")


def _onnx(folder: Path) -> ModelSpec:
    member = sources.get("null")
    model = member.to_onnx(member.load(ModelSpec("null")), 17, folder / "theirs")["main"]
    return ModelSpec(str(model.path))


def _torch(folder: Path) -> ModelSpec:
    pytest.importorskip("torch")
    (folder / "net.py").write_text(FACTORY)
    return ModelSpec(f"{folder / 'net.py'}:make", inputs={"input": (1, 3, 8, 8)}, trust=True)


def _yolov5(folder: Path) -> ModelSpec:
    torch = pytest.importorskip("torch")
    from edgewright.sources.yolov5.torch_module import build_module

    yaml = {
        "nc": 2,
        "depth_multiple": 1.0,
        "width_multiple": 1.0,
        "anchors": [[10, 13, 16, 30]],
        "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C3", [8]], [-1, 1, "Conv", [16, 3, 2]]],
        "head": [[[2], 1, "Detect", ["nc", "anchors"]]],
    }
    torch.save({"model": build_module(yaml).state_dict(), "yaml": yaml, "names": ["a", "b"]}, folder / "m.pt")
    return ModelSpec(str(folder / "m.pt"), inputs={"images": (1, 3, 32, 32)})


EXAMPLES: dict[str, Callable[[Path], ModelSpec]] = {"null": _null, "onnx": _onnx, "torch": _torch, "yolov5": _yolov5}


@pytest.fixture(params=sources.names())
def member(request: pytest.FixtureRequest) -> Any:
    return sources.get(request.param)


@pytest.fixture
def spec(member: Any, tmp_path: Path) -> ModelSpec:
    """A model the member can read. A new member adds its own here."""
    assert member.name in EXAMPLES, f"tests/conformance/test_sources.py has no example for the source {member.name}"
    return EXAMPLES[member.name](tmp_path)


def test_a_member_is_called_as_its_folder_is() -> None:
    assert [sources.get(name).name for name in sources.names()] == list(sources.names())


def test_a_model_is_matched_by_its_own_source_alone(member: Any, spec: ModelSpec) -> None:
    assert [name for name in sources.names() if sources.get(name).matches(spec)] == [member.name]


def test_matching_never_raises(member: Any, tmp_path: Path) -> None:
    (tmp_path / "junk.pt").write_bytes(b"PK\x03\x04junk")
    (tmp_path / "folder.onnx").mkdir()
    for source in (
        "",
        "x",
        ":",
        "a:b:c",
        "null",
        "/no/such.pt",
        str(tmp_path / "junk.pt"),
        str(tmp_path / "folder.onnx"),
        "\0",
    ):
        assert member.matches(ModelSpec(source)) in (True, False)


def test_a_load_is_run_by_nobody_else_and_gives_an_example_for_each_input(
    member: Any, spec: ModelSpec, tmp_path: Path
) -> None:
    loaded = member.load(spec)
    models = member.to_onnx(loaded, 17, tmp_path / "out")
    assert set(models) == {"main"}
    model = models["main"]
    assert loaded.source == model.source == member.name
    assert set(loaded.example) == {tensor.name for tensor in model.inputs}
    for tensor in model.inputs:
        array = loaded.example[tensor.name]
        assert str(array.dtype) == tensor.dtype
        assert len(array.shape) == len(tensor.shape)
        assert all(own in (n, None) or isinstance(own, str) for own, n in zip(tensor.shape, array.shape, strict=True))


def test_what_is_written_is_what_is_recorded(member: Any, spec: ModelSpec, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    loaded = member.load(spec)
    model = member.to_onnx(loaded, 17, tmp_path / "out")["main"]
    assert model.path.parent == tmp_path / "out"
    assert model.digest == hashlib.sha256(model.path.read_bytes()).hexdigest()
    proto = onnx.load(str(model.path))
    assert proto.opset_import[0].version == model.opset == 17
    session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == [tensor.name for tensor in model.outputs]
    for tensor, array in zip(model.outputs, session.run(None, dict(loaded.example)), strict=True):
        assert str(np.asarray(array).dtype) == tensor.dtype
        assert all(own in (n, None) or isinstance(own, str) for own, n in zip(tensor.shape, array.shape, strict=True))
    assert model.parity is not None
    assert model.parity.checked or model.parity.note
    assert Model.from_json(model.to_json()).to_json() == model.to_json()
    roles = {step.params["role"] for step in model.hints.postprocess if "role" in step.params}
    assert roles <= {tensor.name for tensor in model.outputs}


def test_a_program_computes_what_the_graph_does(member: Any, spec: ModelSpec, tmp_path: Path) -> None:
    loaded = member.load(spec)
    model = member.to_onnx(loaded, 17, tmp_path / "out")["main"]
    if model.program is None:
        assert loaded.module is None, "a source with a torch module also writes its program"
        return
    import onnxruntime
    import torch

    program = torch.export.load(str(model.program)).module()
    answers = program(*(torch.from_numpy(np.array(loaded.example[t.name])) for t in model.inputs))
    answers = answers if isinstance(answers, (tuple, list)) else (answers,)
    session = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
    for theirs, ours in zip(answers, session.run(None, dict(loaded.example)), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-3, rtol=1e-3)


def test_the_same_model_is_written_as_the_same_bytes(member: Any, spec: ModelSpec, tmp_path: Path) -> None:
    digests = {member.to_onnx(member.load(spec), 17, tmp_path / place)["main"].digest for place in ("a", "b")}
    assert len(digests) == 1


def test_an_input_that_is_not_there_is_refused(member: Any, spec: ModelSpec) -> None:
    wrong = ModelSpec(spec.source, inputs={"no_such_input": (1, 2)}, trust=spec.trust)
    with pytest.raises(InputError) as refusal:
        member.load(wrong)
    assert refusal.value.remedy


def test_a_file_that_is_not_there_or_empty_is_refused(member: Any, spec: ModelSpec, tmp_path: Path) -> None:
    if member.name == "null":
        return  # it reads no file
    suffix = ".pt2" if ":" in spec.source else Path(spec.source).suffix
    (tmp_path / f"empty{suffix}").write_bytes(b"")
    for source in (tmp_path / f"empty{suffix}", tmp_path / f"missing{suffix}"):
        with pytest.raises(EdgewrightError) as refusal:
            member.load(ModelSpec(str(source), trust=True))
        assert refusal.value.exit_code == 2
        assert refusal.value.remedy


def test_members_have_a_readme(member: Any) -> None:
    text = (sources.ROOM.folder / member.name / "README.md").read_text(encoding="utf-8")
    for heading in ("What", "Limits", "How it was tested", "Hardware"):
        assert f"## {heading}" in text
