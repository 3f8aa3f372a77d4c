from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def data(example):
    return example("digits_classifier/data.py")


def test_a_digit_is_drawn_the_same_way_again_and_in_other_ways(data):
    assert np.array_equal(data.draw(5, 2), data.draw(5, 2))
    assert not np.array_equal(data.draw(5, 2), data.draw(5, 3))
    assert data.draw(5, 2).shape == (32, 32)
    assert data.draw(5, 2).dtype == np.uint8


def test_train_and_validation_share_no_digit(data):
    ink, _ = data.handwriting()
    train, val = (set(data.SPLITS[name]) for name in ("train", "val"))
    assert train | val == set(range(len(ink)))
    assert not {ink[i].tobytes() for i in train} & {ink[i].tobytes() for i in val}


def test_the_files_lie_in_a_folder_per_class(data, tmp_path, monkeypatch):
    import cv2

    monkeypatch.setattr(data, "SPLITS", {"train": range(20), "val": range(1347, 1357)})
    data.prepare(tmp_path)
    files = sorted((tmp_path / "val").rglob("*.png"))
    assert len(files) == 10 * data.WAYS
    _, labels = data.handwriting()
    for file in files:
        index, way = map(int, file.stem.split("-"))
        assert file.parent.name == str(labels[index])
        assert np.array_equal(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), data.draw(index, way))


def test_the_committed_network_reads_unseen_handwriting(root, data):
    import onnxruntime

    file = root / "examples/digits_classifier/digits-classifier.onnx"
    assert file.stat().st_size < 1_000_000
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    indices, (_, labels) = list(data.SPLITS["val"]), data.handwriting()
    right = top5 = total = 0
    for way in range(data.WAYS):
        images = np.stack([data.draw(index, way) for index in indices])[:, None].astype(np.float32) / 255
        (scores,) = session.run(None, {"image": images})
        order = np.argsort(-scores, axis=1)
        right += int((order[:, 0] == labels[indices]).sum())
        top5 += int((order[:, :5] == labels[indices][:, None]).sum())
        total += len(indices)
    assert total == 2700
    assert round(right / total, 3) == pytest.approx(0.984, abs=0.002)
    assert top5 / total > 0.999
