"""Two detectors compared without labels."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.tasks.detection.agreement import agreement

BOX = [0, 0.9, 10, 10, 50, 50]


def test_the_same_boxes_agree_wholly():
    result = agreement([[BOX], []], [[BOX], []], 0.25)
    assert (result.name, result.value, len(result)) == ("agreement", 1.0, 2)
    assert result.resample([1, 1]) == 1.0  # both see nothing there


@pytest.mark.parametrize(
    ("other", "value"),
    [
        ([1, 0.9, 10, 10, 50, 50], 0.0),  # another class
        ([0, 0.9, 12, 12, 52, 52], 1.0),  # moved a little
        ([0, 0.9, 30, 30, 70, 70], 0.0),  # moved too far
        ([0, 0.2, 10, 10, 50, 50], 0.0),  # below the serving threshold
    ],
)
def test_a_box_agrees_by_class_and_place(other, value):
    assert agreement([[other]], [[BOX]], 0.25).value == value


def test_it_is_the_f1_measure_over_all_images():
    far = [0, 0.8, 200, 200, 240, 240]
    result = agreement([[BOX, far], [BOX]], [[BOX], [BOX]], 0.25)
    assert result.value == pytest.approx(2 * 2 / 5)
    assert result.others == {"extra_boxes": 0.5, "missing_boxes": 0.0}
    assert result.resample([1, 1]) == 1.0 and result.resample([0, 0]) == pytest.approx(2 / 3)


def test_one_box_is_matched_once():
    twin = [0, 0.7, 11, 11, 51, 51]
    assert agreement([[BOX, twin]], [[BOX]], 0.25).value == pytest.approx(2 / 3)


def test_a_resample_of_everything_is_the_value():
    draw = np.random.default_rng(0)
    both = [[[[0, 0.9, *draw.uniform(0, 20, 2), *draw.uniform(30, 60, 2)]] for _ in range(20)] for _ in range(2)]
    result = agreement(both[0], both[1], 0.25)
    assert result.resample(range(20)) == result.value
