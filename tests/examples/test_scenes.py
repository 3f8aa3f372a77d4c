from __future__ import annotations

import numpy as np
import pytest

SEEDS = range(25)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_scene_is_the_same_for_the_same_seed(scenes, split):
    for seed in SEEDS:
        first, again = scenes.draw_scene(seed, split), scenes.draw_scene(seed, split)
        assert np.array_equal(first.image, again.image)
        assert np.array_equal(first.boxes, again.boxes)
        assert np.array_equal(first.labels, again.labels)


def test_scenes_of_different_seeds_and_splits_differ(scenes):
    drawn = [scenes.draw_scene(seed, split).image.tobytes() for seed in SEEDS for split in ("train", "val")]
    assert len(set(drawn)) == len(drawn)


def test_a_scene_is_pixels_with_one_to_eight_labelled_boxes_inside_it(scenes):
    _, answers = scenes.handwriting()
    for seed in range(60):
        scene = scenes.draw_scene(seed, "val", size=192)
        assert scene.image.shape == (192, 192, 3)
        assert scene.image.dtype == np.uint8
        assert 1 <= len(scene.boxes) <= 8
        assert (scene.boxes[:, :2] >= 0).all()
        assert (scene.boxes[:, 2:] <= 192).all()
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
        assert np.array_equal(scene.labels, answers[scene.sources])


def test_boxes_are_tight_around_the_ink(scenes, monkeypatch):
    monkeypatch.setattr(scenes, "_photographed", lambda rng, surface: surface)  # ink alone, no blur, no noise
    for seed in SEEDS:
        scene = scenes.draw_scene(seed, "val")
        bare = scenes._surface(np.random.default_rng((seed, scenes.SPLITS["val"].start, scenes.FORMAT)), 256)
        inked = np.abs(scene.image - bare).max(axis=2) > 1
        outside = inked.copy()
        for x1, y1, x2, y2 in scene.boxes.astype(int):
            outside[y1:y2, x1:x2] = False
            edges = inked[y1, x1:x2], inked[y2 - 1, x1:x2], inked[y1:y2, x1], inked[y1:y2, x2 - 1]
            assert all(edge.any() for edge in edges)
        assert not outside.any()


def test_digits_hardly_cover_one_another(scenes):
    for seed in range(60):
        boxes = [tuple(box) for box in scenes.draw_scene(seed, "train", digits=(8, 8)).boxes.astype(int).tolist()]
        for i, one in enumerate(boxes):
            assert all(scenes._covered(one, other) <= scenes.MAX_OVERLAP for other in boxes[:i])


def test_no_handwriting_is_both_trained_on_and_judged_on(scenes):
    ink, answers = scenes.handwriting()
    train, val = scenes.SPLITS["train"], scenes.SPLITS["val"]
    assert len(ink[train]) + len(ink[val]) == len(ink) == 1797
    assert not {image.tobytes() for image in ink[train]} & {image.tobytes() for image in ink[val]}
    assert set(answers[train]) == set(answers[val]) == set(range(10))
    for seed in SEEDS:
        assert (scenes.draw_scene(seed, "train").sources < train.stop).all()
        assert (scenes.draw_scene(seed, "val").sources >= val.start).all()


def test_a_written_folder_holds_the_scenes_and_their_labels(scenes, tmp_path):
    import cv2

    data = scenes.write_dataset(tmp_path, {"train": 3, "val": 5}, workers=1)
    assert data == tmp_path / "data.yaml"
    assert len(list((tmp_path / "images/train").iterdir())) == 3
    for seed in range(5):
        scene = scenes.draw_scene(seed, "val")
        image = cv2.imread(str(tmp_path / f"images/val/{seed:06d}.jpg"))[:, :, ::-1].astype(float)
        assert np.abs(image - scene.image).mean() < 8  # what JPEG takes away
        rows = np.loadtxt(tmp_path / f"labels/val/{seed:06d}.txt", ndmin=2)
        corners = np.hstack([rows[:, 1:3] - rows[:, 3:5] / 2, rows[:, 1:3] + rows[:, 3:5] / 2]) * 256
        assert np.array_equal(rows[:, 0].astype(int), scene.labels)
        assert np.allclose(corners, scene.boxes, atol=1e-3)


def test_the_detection_task_reads_a_written_folder(scenes, tmp_path):
    from edgewright.core.config import DataSource
    from edgewright.core.task import TaskSpec
    from edgewright.tasks.detection.dataset import read_dataset

    data = scenes.write_dataset(tmp_path / "data", {"train": 2, "val": 4}, workers=1)
    spec = TaskSpec("detection", labels=scenes.NAMES)
    dataset = read_dataset(DataSource(path=str(data), split="val"), spec, tmp_path)
    assert dataset.labelled
    scene = scenes.draw_scene(2, "val")
    truth = np.array(dataset.samples[2].truth)
    assert np.allclose(truth[:, 1:5], scene.boxes, atol=1e-3)


def test_a_whole_folder_is_left_alone_and_one_cut_short_is_drawn_again(scenes, tmp_path):
    scenes.write_dataset(tmp_path, {"val": 2}, workers=1)
    image = tmp_path / "images/val/000001.jpg"
    whole, written = image.read_bytes(), image.stat().st_mtime_ns
    scenes.write_dataset(tmp_path, {"val": 2}, workers=1)
    assert image.stat().st_mtime_ns == written
    image.write_bytes(whole[:100])
    (tmp_path / "scenes.json").unlink()  # it is written last: without it the folder was not finished
    scenes.write_dataset(tmp_path, {"val": 2}, workers=1)
    assert image.read_bytes() == whole
