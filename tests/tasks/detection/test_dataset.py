"""Images with boxes in the field's formats; what is wrong with them is said with file and line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgewright import tasks
from edgewright.core.config import DataSource
from edgewright.core.errors import InputError
from edgewright.core.task import Dataset, TaskSpec
from edgewright.tasks.detection.yolo_labels import read_rows
from edgewright.tasks.image_files import representative

SPEC = TaskSpec("detection", labels=("cat", "dog", "cow"))
ROWS = {"a": "0 0.5 0.5 0.2 0.4\n", "b": "2 0.25 0.25 0.5 0.5\n\n1 0.5 0.5 1 1\n", "c": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/val/{a,b,c}.png of 100×50 with labels/val/*.txt (c has none), and a data.yaml."""
    for name, rows in ROWS.items():
        image = tmp_path / "images" / "val" / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((50, 100, 3), ord(name), np.uint8)).save(image)
        label = tmp_path / "labels" / "val" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        if rows:
            label.write_text(rows)
    (tmp_path / "data.yaml").write_text("path: .\nval: images/val\nnames: {0: cat, 1: dog, 2: cow}\n")
    return tmp_path


def read(folder: Path, path: str, spec: TaskSpec = SPEC, **options: object) -> Dataset:
    where = DataSource(path=str(folder / path), **options)  # type: ignore[arg-type]
    return tasks.get("detection").dataset(where, spec, None, folder / "memo")  # type: ignore[arg-type]


TRUTH = [[[0, 40, 15, 60, 35]], [[2, 0, 0, 50, 25], [1, 0, 0, 100, 50]], []]


@pytest.mark.parametrize("path", ["images/val", "data.yaml", "list.txt"])
def test_yolo_labels_are_found_by_convention(folder, path):
    (folder / "list.txt").write_text("images/val/a.png\n./images/val/b.png\nimages/val/c.png\n")
    data = read(folder, path)
    assert data.labelled and [s.truth for s in data.samples] == TRUTH
    assert [s.id for s in data.samples] == ["a.png", "b.png", "c.png"]
    assert any("1 of 3 images" in note for note in data.notes)


def test_labels_may_lie_elsewhere_or_be_left_out(folder):
    (folder / "labels" / "val").rename(folder / "truth")
    assert not read(folder, "images/val").labelled
    assert read(folder, "images/val", labels=str(folder / "truth")).samples[1].truth == TRUTH[1]
    bare = read(folder, "data.yaml", labels="none")
    assert not bare.labelled and bare.samples[0].truth is None


def test_polygons_are_taken_by_their_bounding_box(folder):
    (folder / "labels/val/a.txt").write_text("1 0.1 0.2 0.5 0.2 0.3 0.8\n")
    assert read(folder, "images/val").samples[0].truth == [[1, 10, 10, 50, 40]]


def coco(folder: Path, **changes: object) -> None:
    data = {
        "images": [{"id": 7, "file_name": "a.png", "width": 100, "height": 50}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 11, "name": "cat"}],
        "annotations": [
            {"image_id": 7, "category_id": 11, "bbox": [10, 5, 20, 30]},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "iscrowd": 1},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 0, 50]},
        ],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "instances_val.json").write_text(json.dumps({**data, **changes}))


def test_coco_annotations_keep_crowds_and_map_categories_by_name(folder):
    coco(folder)
    data = read(folder, "annotations/instances_val.json")
    assert [s.truth for s in data.samples] == [[[0, 10, 5, 30, 35], [1, 0, 0, 50, 50, 1]], []]
    same = read(folder, "images/val", labels=str(folder / "annotations/instances_val.json"))
    assert same.digest == data.digest
    assert not read(folder, "annotations/instances_val.json", labels="none").labelled


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"categories": [{"id": 3, "name": "horse"}, {"id": 11, "name": "cat"}]}, "2 categories"),
        ({"annotations": [{"image_id": 7, "category_id": 4, "bbox": [0, 0, 1, 1]}]}, r"annotations\[0\]"),
        ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, -1, 1]}]}, "valid box"),
        ({"images": [{"id": 7, "file_name": "a.png", "width": 10, "height": 10}]}, "annotation says 10×10"),
        ({"images": [{"id": 7, "file_name": "../../a.png"}]}, "not beside it|outside"),
        ({"images": []}, "not beside it|names no images"),
        ({"images": 3}, "no COCO annotation file"),
    ],
)
def test_coco_annotations_that_do_not_fit_are_refused(folder, changes, words):
    coco(folder, **changes)
    with pytest.raises(InputError, match=words):
        read(folder, "annotations/instances_val.json")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.5 0.5 0.2", "a.txt:2: 4 numbers"),
        ("0 0.5 0.5 x 0.2", "a.txt:2: .* not all numbers"),
        ("3 0.5 0.5 0.2 0.2", "a.txt:2: class 3, but the model has 3 classes"),
        ("0.5 0.5 0.5 0.2 0.2", "a.txt:2: '0.5' is no class"),
        ("-1 0.5 0.5 0.2 0.2", "a.txt:2: '-1' is no class"),
        ("0 50 50 20 20", "a.txt:2: a coordinate"),
        ("0 nan 0.5 0.2 0.2", "a.txt:2: a coordinate"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(folder, row, words):
    (folder / "labels/val/a.txt").write_text("0 0.5 0.5 0.2 0.2\n" + row + "\n")
    with pytest.raises(InputError, match=words):
        read(folder, "images/val")


def test_data_that_are_not_there_or_do_not_fit_are_refused(folder):
    (folder / "empty").mkdir()
    (folder / "list.txt").write_text("images/val/absent.png\n")
    cases = [
        ("empty", {}, "holds no images"),
        ("absent", {}, "There is no data at"),
        ("data.yaml", {"split": "vla"}, "no split 'vla'"),
        ("list.txt", {}, r"list.txt:1: there is no file"),
        ("images/val", {"labels": str(folder / "nowhere")}, "no labels folder"),
        ("images/val", {"labels": str(folder / "empty")}, "holds no labels"),
    ]
    for path, options, words in cases:
        with pytest.raises(InputError, match=words) as error:
            read(folder, path, **options)
        assert error.value.remedy
    with pytest.raises(InputError, match="names 3 classes, but the model has 2"):
        read(folder, "data.yaml", TaskSpec("detection", labels=("cat", "dog")))


@pytest.mark.parametrize("content", [b"text", b"\x89PNG\r\n\x1a\n cut", b""])
def test_an_unreadable_image_is_refused_and_named(folder, content):
    (folder / "images/val/b.png").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.png"):
        read(folder, "images/val")


def test_the_digest_follows_contents_and_labels_and_nothing_else(folder):
    first = read(folder, "images/val").digest
    os.utime(folder / "images/val/a.png", (1, 1))
    assert read(folder, "images/val").digest == first == read(folder, "data.yaml").digest
    (folder / "labels/val/a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    second = read(folder, "images/val").digest
    Image.fromarray(np.full((50, 100, 3), 9, np.uint8)).save(folder / "images/val/a.png")
    assert len({first, second, read(folder, "images/val").digest}) == 3


def test_a_second_look_reads_no_image_again(folder, monkeypatch):
    first = read(folder, "images/val")
    monkeypatch.setattr("edgewright.tasks.contents.read_bytes", lambda path: pytest.fail(f"read {path}"))
    assert read(folder, "images/val") == first
    (folder / "memo" / "contents.json").write_text("{broken")
    monkeypatch.undo()
    assert read(folder, "images/val") == first


def test_a_sample_of_a_set_is_drawn_by_its_seed(folder):
    drawn = [read(folder, "images/val", labels="none", count=2, seed=seed) for seed in range(20)]
    assert len({tuple(s.id for s in data.samples) for data in drawn}) == 3
    assert read(folder, "images/val", count=2, seed=3) == read(folder, "images/val", count=2, seed=3)


@given(
    st.lists(st.frozensets(st.integers(0, 5), max_size=3), min_size=1, max_size=40),
    st.integers(1, 40),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_a_drawn_sample_holds_every_class_if_it_has_the_room(classes, count, seed):
    chosen = representative(count, seed, classes)
    assert len(chosen) == len(set(chosen)) == min(count, len(classes)) and chosen == sorted(chosen)
    everything = frozenset().union(*classes)
    if count >= len(everything):
        assert frozenset().union(*(classes[k] for k in chosen)) == everything


@given(st.text(alphabet="0123456789.-e \nx", max_size=60))
@settings(deadline=None)
def test_no_label_file_crashes_the_reader(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("labels") / "a.txt"
    path.write_text(text)
    try:
        rows = read_rows(path, 3)
    except InputError as error:
        assert str(path) in error.message
    else:
        assert all(0 <= row[0] < 3 for row in rows)
