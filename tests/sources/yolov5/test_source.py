from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import sources
from edgewright.core.errors import InputError
from edgewright.core.model import ModelSpec
from edgewright.sources.parity import run_graph

torch = pytest.importorskip("torch")
SMALL = {"images": (1, 3, 64, 64)}


def load(path: Path, **fields: Any) -> Any:
    return sources.get("yolov5").load(ModelSpec(str(path), **fields))


def write(loaded: Any, folder: Path, opset: int = 17) -> Any:
    return sources.get("yolov5").to_onnx(loaded, opset, folder)["main"]


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """No torch for the source (the checkpoint was written before)."""
    import edgewright.sources.yolov5.source as source

    monkeypatch.setattr(source, "torch_is_here", lambda: False)


def test_a_checkpoint_becomes_a_checked_graph_and_a_program(plain_checkpoint: Path, tmp_path: Path) -> None:
    model = write(load(plain_checkpoint, inputs=SMALL), tmp_path)
    assert model.inputs[0].shape == ("batch", 3, 64, 64)
    assert model.outputs[0].shape == ("batch", 252, 8)
    assert model.parity.checked
    assert model.parity.max_abs < 1e-3
    assert model.parity.cosine > 0.9999
    image = np.random.default_rng(3).random((1, 3, 64, 64), np.float32)
    program = torch.export.load(str(model.program)).module()
    np.testing.assert_allclose(
        run_graph(model.path, {"images": image})[0], program(torch.from_numpy(image)).numpy(), atol=1e-3, rtol=1e-3
    )


def test_hints_say_how_to_feed_it_and_how_to_read_it(plain_checkpoint: Path) -> None:
    hints = load(plain_checkpoint).hints
    assert (hints.kind, hints.family, hints.labels, hints.strides) == (
        "detection",
        "yolov5",
        ("a", "b", "c"),
        (8, 16, 32),
    )
    assert [step.kind for step in hints.preprocess] == ["letterbox", "colour", "scale", "layout"]
    assert hints.preprocess[0].params["size"] == [640, 640]
    assert [step.kind for step in hints.postprocess] == ["yolov5_flat", "nms", "unletterbox"]


@pytest.mark.usefixtures("without_torch")
def test_a_stated_batch_above_one_is_fixed(plain_checkpoint: Path, tmp_path: Path) -> None:
    model = write(load(plain_checkpoint, inputs={"images": (2, 3, 64, 64)}), tmp_path)
    assert model.inputs[0].shape == (2, 3, 64, 64)


@pytest.mark.usefixtures("without_torch")
def test_metadata_travels_in_the_file(plain_checkpoint: Path, tmp_path: Path) -> None:
    model = write(load(plain_checkpoint, inputs=SMALL), tmp_path)
    again = sources.get("onnx").load(ModelSpec(str(model.path)))
    assert again.hints.labels == ("a", "b", "c")
    assert again.hints.anchors == model.hints.anchors
    assert again.hints.family == "yolov5"


def test_labels_of_the_wrong_number_are_refused(plain_checkpoint: Path) -> None:
    with pytest.raises(InputError, match="3 classes"):
        load(plain_checkpoint, labels=("one", "two"))


@pytest.mark.parametrize("inputs", [{"image": (1, 3, 64, 64)}, {"images": (1, 3, 100, 64)}, {"images": (1, 64, 64)}])
def test_an_input_that_does_not_fit_is_refused(plain_checkpoint: Path, inputs: Any) -> None:
    with pytest.raises(InputError) as refusal:
        load(plain_checkpoint, inputs=inputs)
    assert refusal.value.remedy


def test_a_graph_that_departs_from_torch_is_refused_with_its_first_wrong_node(
    plain_checkpoint: Path, tmp_path: Path
) -> None:
    loaded = load(plain_checkpoint, inputs=SMALL)
    loaded.content.weights["model.9.cv1.bn.bias"] = loaded.content.weights["model.9.cv1.bn.bias"] + 1
    with pytest.raises(InputError, match=r"'model\.9\.cv1\.act'"):
        write(loaded, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_without_torch_the_graph_is_written_and_says_that_it_was_not_checked(
    plain_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgewright.sources.yolov5.source as source

    monkeypatch.setattr(source, "torch_is_here", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    model = write(load(plain_checkpoint, inputs=SMALL), tmp_path)
    assert (model.parity.checked, model.program) == (False, None)
    assert "torch is absent" in model.parity.note


@pytest.mark.parametrize(
    ("name", "mine"), [("a.pt", True), ("a.pth", True), ("a.onnx", False), ("null", False), ("m:f", False)]
)
def test_it_takes_checkpoints_and_nothing_else(tmp_path: Path, name: str, mine: bool) -> None:
    assert sources.get("yolov5").matches(ModelSpec(str(tmp_path / name))) is mine


@pytest.mark.shared
@pytest.mark.slow
def test_the_real_checkpoint_is_exported_and_checked(shared_dir: Path, tmp_path: Path) -> None:
    spec_shape = {"images": (1, 3, 320, 320)}
    model = write(load(shared_dir / "models/yolov5n-helmet/yolov5n-helmet.pt", inputs=spec_shape), tmp_path, 13)
    assert model.opset == 13
    assert model.parity.checked
    assert model.hints.labels == ("helmet", "vest")
    assert model.parameters == 1_766_623
