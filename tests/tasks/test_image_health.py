"""Findings on calibration images: each fires where it must, and not where it must not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgewright import tasks
from edgewright.core.task import Dataset, Sample, TaskSpec

cv2 = pytest.importorskip("cv2")
SPEC = TaskSpec("detection", labels=("cat", "dog", "cow"))


def picture(seed: int, level: float = 128) -> np.ndarray:
    """A smooth random scene of 160×160 around a brightness."""
    coarse = np.random.default_rng(seed).normal(level, 25, (6, 6, 3))
    return np.clip(cv2.resize(coarse, (160, 160), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def dataset(folder: Path, seeds: range, truth: dict[int, int] | None = None, level: float = 128) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for seed in seeds:
        path = folder / f"{seed}.jpg"
        cv2.imwrite(str(path), picture(seed, level), [cv2.IMWRITE_JPEG_QUALITY, 95])
        rows = [[truth.get(seed, 0), 1, 1, 20, 20]] if truth is not None else None
        samples.append(Sample(path.name, path, rows))
    return Dataset(folder.name, tuple(samples), truth is not None, "")


def rules(calibration: Dataset, validation: Dataset | None) -> dict[str, object]:
    return {f.rule: f for f in tasks.get("detection").health(calibration, validation, SPEC)}


def test_a_fair_set_has_no_findings(tmp_path):
    calibration = dataset(tmp_path / "a", range(110), {})
    assert rules(calibration, dataset(tmp_path / "b", range(200, 240), {})) == {}


def test_too_few_images_are_told(tmp_path):
    found = rules(dataset(tmp_path / "a", range(20)), None)
    assert list(found) == ["calibration-size"] and "20" in found["calibration-size"].title


def test_repeated_images_are_told_even_when_encoded_again(tmp_path):
    data = dataset(tmp_path / "a", range(101))
    again, same = tmp_path / "a" / "again.jpg", tmp_path / "a" / "same.jpg"
    cv2.imwrite(str(again), picture(3), [cv2.IMWRITE_JPEG_QUALITY, 60])
    shutil.copy(data.samples[5].path, same)
    samples = (*data.samples, Sample("again.jpg", again), Sample("same.jpg", same))
    finding = rules(Dataset("a", samples, False, ""), None)["calibration-duplicates"]
    assert finding.title.startswith("2 of 103") and "1 pairs are the same file, 1 the same picture" in finding.detail
    assert {e["image"] for e in finding.evidence} == {"again.jpg", "same.jpg"}


def test_validation_images_among_the_calibration_images_are_told(tmp_path):
    calibration = dataset(tmp_path / "a", range(100))
    finding = rules(calibration, dataset(tmp_path / "b", range(98, 118)))["calibration-overlap"]
    assert finding.title.startswith("2 of 20") and finding.share == pytest.approx(0.1)


def test_classes_that_only_validation_shows_are_told(tmp_path):
    calibration = dataset(tmp_path / "a", range(100), {1: 1})
    validation = dataset(tmp_path / "b", range(200, 220), {205: 2, 206: 1})
    finding = rules(calibration, validation)["calibration-classes"]
    assert "cow" in finding.detail and finding.title.startswith("1 of 3 classes")
    assert "calibration-classes" not in rules(calibration, dataset(tmp_path / "c", range(200, 220)))


def test_brightness_outside_the_calibration_images_is_told(tmp_path):
    calibration = dataset(tmp_path / "a", range(100), level=120)
    assert "calibration-brightness" in rules(calibration, dataset(tmp_path / "b", range(200, 220), level=30))


def test_small_and_damaged_images_do_no_harm(tmp_path):
    tiny = []
    for k in range(3):
        path = tmp_path / f"{k}.png"
        cv2.imwrite(str(path), np.random.default_rng(k).integers(0, 256, (8, 8), dtype=np.uint8))
        tiny.append(Sample(path.name, path, None))
    (tmp_path / "x.png").write_bytes(b"junk")
    tiny.append(Sample("x.png", tmp_path / "x.png", None))
    assert list(rules(Dataset("tiny", tuple(tiny), False, ""), None)) == ["calibration-size"]
