from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import sources
from edgewright.core.errors import InputError
from edgewright.core.model import ModelSpec
from edgewright.sources.parity import run_graph

CELLS = 64 + 16 + 4


def load(path: Path, **fields: Any) -> Any:
    return sources.get("onnx").load(ModelSpec(str(path), **fields))


def write(loaded: Any, folder: Path, opset: int = 17) -> Any:
    return sources.get("onnx").to_onnx(loaded, opset, folder)["main"]


def relu(write_onnx: Any, shape: list[Any], **more: Any) -> Path:
    from onnx import helper

    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path: Path = write_onnx(nodes, {"x": ("FLOAT", shape)}, {"y": ("FLOAT", shape)}, **more)
    return path


def test_raw_heads_beside_the_decoded_output_are_left_out(write_answering: Any, tmp_path: Path) -> None:
    heads = {f"head{n}": np.zeros((1, 3, n, n, 85)) for n in (8, 4, 2)}
    loaded = load(write_answering(np.zeros((1, 3 * CELLS, 85)), extra=heads))
    model = write(loaded, tmp_path / "out")
    assert loaded.hints.family == "yolov5"
    assert [(o.name, o.shape) for o in model.outputs] == [("output", (1, 3 * CELLS, 85))]
    assert "head8" in model.steps[0]
    assert len(run_graph(model.path, loaded.example)) == 1


def test_an_open_batch_stays_open(write_answering: Any, tmp_path: Path) -> None:
    model = write(load(write_answering(np.zeros((1, 3 * CELLS, 85)), image=["batch", 3, 64, 64])), tmp_path / "out")
    assert model.inputs[0].shape == ("batch", 3, 64, 64)
    assert model.outputs[0].shape == ("batch", 3 * CELLS, 85)


def test_open_height_and_width_take_the_size_the_file_names(write_answering: Any) -> None:
    path = write_answering(np.zeros((1, 3 * CELLS, 85)), image=["b", 3, "h", "w"], metadata={"imgsz": "[64, 64]"})
    loaded = load(path)
    assert loaded.example["images"].shape == (1, 3, 64, 64)
    assert loaded.hints.family == "yolov5"
    assert "64×64" in loaded.hints.notes[0]


def test_metadata_of_ultralytics_exports_is_read(write_answering: Any) -> None:
    metadata = {"names": "{0: 'cat', 1: \"dog's\"}", "task": "detect", "stride": "32", "imgsz": "[64, 64]"}
    hints = load(write_answering(np.zeros((1, 6, CELLS)), metadata=metadata)).hints
    assert (hints.family, hints.labels) == ("yolov8", ("cat", "dog's"))


@pytest.mark.parametrize("names", ["{", "[1, 2]", "__import__('os').system('x')", "(" * 5000, "{'a': 1}", "null"])
def test_names_that_cannot_be_read_are_left_out(write_answering: Any, names: str) -> None:
    assert load(write_answering(np.zeros((1, 6, CELLS)), metadata={"names": names})).hints.labels == (
        "class0",
        "class1",
    )


def test_stated_shapes_are_applied_to_every_use_of_their_symbol(write_onnx: Any, tmp_path: Path) -> None:
    model = write(load(relu(write_onnx, ["batch", "length"]), inputs={"x": (2, 7)}), tmp_path / "out")
    assert model.inputs[0].shape == model.outputs[0].shape == (2, 7)


@pytest.mark.parametrize(
    ("inputs", "named"),
    [({"z": (1, 4)}, "'z'"), ({"x": (1, 5)}, r"\[1, 5\]"), ({"x": (1, 4, 4)}, "fit"), ({"x": (0, 4)}, "fit")],
)
def test_shapes_that_do_not_fit_are_refused(write_onnx: Any, inputs: Any, named: str) -> None:
    with pytest.raises(InputError, match=named):
        load(relu(write_onnx, ["batch", 4]), inputs=inputs)


def test_several_inputs_of_several_types_are_fed(write_onnx: Any) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=1),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["hidden"]),
    ]
    shape = ["batch", "sequence"]
    path = write_onnx(
        nodes,
        {"input_ids": ("INT64", shape), "attention_mask": ("INT64", shape)},
        {"hidden": ("FLOAT", [*shape, 8])},
        {"table": np.ones((100, 8), np.float32), "last": np.array([2])},
    )
    loaded = load(path)
    assert loaded.hints.kind == "tensors"
    assert {name: array.dtype for name, array in loaded.example.items()} == {
        "input_ids": "int64",
        "attention_mask": "int64",
    }


def test_an_older_opset_is_converted_and_compared(write_onnx: Any, tmp_path: Path) -> None:
    model = write(load(relu(write_onnx, [1, 4], opset=11)), tmp_path / "out", 17)
    assert model.opset == 17
    assert model.parity.checked
    assert model.steps == ("opset 11 converted to 17",)


def test_a_newer_opset_stays_and_that_is_said(write_onnx: Any, tmp_path: Path) -> None:
    model = write(load(relu(write_onnx, [1, 4], opset=17)), tmp_path / "out", 13)
    assert model.opset == 17
    assert "17" in model.hints.notes[0]


def test_a_model_onnx_runtime_cannot_run_is_refused(write_onnx: Any) -> None:
    from onnx import helper

    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = write_onnx(nodes, {"x": ("FLOAT", [1, "n"])}, {"y": ("FLOAT", [1, 3])}, {"w": np.ones((4, 3), np.float32)})
    with pytest.raises(InputError, match="ONNX Runtime"):
        load(path, inputs={"x": (1, 5)})


@pytest.mark.shared
def test_the_real_yolox_is_recognised(shared_dir: Path, tmp_path: Path) -> None:
    loaded = load(shared_dir / "models/yolox-nano/yolox_nano.onnx")
    model = write(loaded, tmp_path)
    decode = model.hints.postprocess[0]
    assert (decode.kind, decode.params["decoded"], decode.params["size"]) == ("yolox", False, [416, 416])
    assert model.opset == 17
    assert model.parity.max_abs < 1e-4


def test_any_change_of_a_file_is_loaded_or_refused(write_onnx: Any, tmp_path: Path) -> None:
    import random

    from onnx import helper

    nodes = [helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    shape = {"x": ("FLOAT", [1, 2, 8])}
    data = write_onnx(nodes, shape, {"y": ("FLOAT", [1, 2, 8])}, {"w": np.ones(8, np.float32)}).read_bytes()
    chance, path = random.Random(3), tmp_path / "changed.onnx"
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(changed)
        try:
            write(load(path), tmp_path / "out")
        except InputError as refusal:
            assert refusal.remedy
