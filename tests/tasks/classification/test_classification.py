"""One class per image: data, steps, accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewright import tasks
from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.model import Model, Step, TaskHints, TensorSpec
from edgewright.core.task import Dataset, Sample, TaskSpec

TASK = tasks.get("classification")
SPEC = TaskSpec("classification", labels=("cat", "dog"))


def folder_of(root: Path, classes: dict[str, int]) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            Image.fromarray(np.full((8, 8), 20 * k, np.uint8)).save(root / name / f"{k}.png")
    return root


def read(tmp_path: Path, path: Path, spec: TaskSpec = SPEC, **options: object) -> Dataset:
    return TASK.dataset(DataSource(path=str(path), **options), spec, None, tmp_path / "memo")  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("cat", "dog"), ("0", "1"), ("katze", "hund")])
def test_a_folder_per_class_is_named_numbered_or_in_order(tmp_path, names):
    root = folder_of(tmp_path / "data", {names[0]: 1, names[1]: 2})
    truths = {s.id: s.truth for s in read(tmp_path, root).samples}
    first, second = sorted(names) if names[0] == "katze" else names
    assert truths[f"{first}/0.png"] == 0 and truths[f"{second}/0.png"] == 1


def test_a_csv_takes_names_or_numbers_with_or_without_a_header(tmp_path):
    folder_of(tmp_path / "data", {"cat": 2})
    for header in ("", "path,label\n"):
        (tmp_path / "data" / "list.csv").write_text(header + "cat/0.png,dog\ncat/1.png,0\n\n")
        data = read(tmp_path, tmp_path / "data" / "list.csv")
        assert data.labelled and [s.truth for s in data.samples] == [1, 0]


def test_a_flat_folder_is_unlabelled(tmp_path):
    data = read(tmp_path, folder_of(tmp_path / "data", {"x": 3}) / "x")
    assert not data.labelled and all(s.truth is None for s in data.samples) and data.notes
    assert not read(tmp_path, folder_of(tmp_path / "two", {"cat": 1, "dog": 1}), labels="none").labelled


def test_a_split_is_a_folder_of_the_data(tmp_path):
    folder_of(tmp_path / "data" / "val", {"cat": 1, "dog": 1})
    folder_of(tmp_path / "data" / "train", {"cat": 3, "dog": 3})
    assert len(read(tmp_path, tmp_path / "data", split="val").samples) == 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("cat/0.png,cow\n", "list.csv:1: 'cow' is none of the model's 2 classes"),
        ("cat/0.png,2\n", "'2' is none"),
        ("cat/0.png\n", "1 column"),
        ("cat/0.png,cat\ncat/9.png,cat\n", "list.csv:2: there is no file"),
        ("path,label\n", "names no images"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path, rows, words):
    folder_of(tmp_path / "data", {"cat": 1})
    (tmp_path / "data" / "list.csv").write_text(rows)
    with pytest.raises(InputError, match=words):
        read(tmp_path, tmp_path / "data" / "list.csv")


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    with pytest.raises(InputError, match="folder 'cow'"):
        read(tmp_path, folder_of(tmp_path / "data", {"cat": 1, "cow": 1}))
    (tmp_path / "data" / "cow" / "0.png").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a JPEG"):
        read(tmp_path, tmp_path / "data", TaskSpec("classification", labels=("cat", "cow")))


def classifier(path: Path, shape: tuple, last: str = "") -> Model:
    onnx = pytest.importorskip("onnx")
    helper, tensor = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("Flatten", ["x"], ["y" if not last else "z"])]
    if last:
        nodes.append(helper.make_node(last, ["z"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", tensor, shape)],
        [helper.make_tensor_value_info("y", tensor, (shape[0], 10))],
    )
    onnx.save(helper.make_model(graph), path)
    inputs = (TensorSpec("x", "float32", shape),)
    return Model(path, "", inputs, (TensorSpec("y", "float32", ("n", 10)),), 17, hints=TaskHints("classification"))


def test_steps_default_to_the_input_of_the_model(tmp_path):
    gray = TASK.spec(classifier(tmp_path / "a.onnx", (1, 1, 8, 8)), {})
    assert [s.kind for s in gray.preprocess] == ["resize", "colour", "scale", "layout"]
    assert gray.preprocess[1].params == {"order": "gray"} and gray.postprocess[0] == Step("softmax", {"role": "y"})
    colour = TASK.spec(
        classifier(tmp_path / "b.onnx", (1, 3, 8, 8), "Softmax"), {"labels": [str(k) for k in range(10)]}
    )
    assert [s.kind for s in colour.preprocess] == ["resize", "scale", "layout"]
    assert colour.postprocess[0].kind == "identity" and colour.labels[3] == "3"
    with pytest.raises(InputError, match="2 names, but the model has 10"):
        TASK.spec(classifier(tmp_path / "c.onnx", (1, 3, 8, 8)), {"labels": ["a", "b"]})


def test_accuracy_counts_the_best_and_the_best_five():
    data = Dataset("d", tuple(Sample(str(k), Path("x"), k) for k in range(4)), True, "")
    predictions = [[[0, 0.9]], [[2, 0.6], [1, 0.4]], [[9, 1.0]], [[3, 0.5], [0, 0.5]]]
    top1 = TASK.score(data, predictions, SPEC, "top1")
    assert (top1.value, top1.others, len(top1)) == (0.5, {"top5": 0.75}, 4)
    assert top1.resample([0, 0, 2, 2]) == 0.5 and top1.resample(range(4)) == top1.value
    assert TASK.score(data, predictions, SPEC, "top5").value == 0.75
    with pytest.raises(InputError, match="no metric"):
        TASK.score(data, predictions, SPEC, "map50")


def test_agreement_is_the_share_of_equal_answers():
    result = TASK.agreement(None, [[[1, 0.9]], [[2, 0.8]]], [[[1, 0.7]], [[3, 0.8]]], SPEC)
    assert result.name == "agreement" and result.value == 0.5 and result.resample([0]) == 1
    assert result.others["probability_change"] == pytest.approx(0.6)
