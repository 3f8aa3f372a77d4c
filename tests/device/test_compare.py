"""Golden answers: what two processors may differ in, and what they may not."""

from __future__ import annotations

import pytest

from edgewright.device.compare import difference

BOX = [3, 0.80, 10, 10, 50, 60]


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ([BOX], [BOX], True),
        ([BOX], [[3, 0.78, 10.5, 10, 50, 60.4]], True),
        ([BOX], [[3, 0.70, 10, 10, 50, 60]], False),
        ([BOX], [[4, 0.80, 10, 10, 50, 60]], False),
        ([BOX], [[3, 0.80, 20, 20, 60, 70]], False),
        ([BOX], [], False),
        ([], [BOX], False),
        ([BOX, [1, 0.27, 0, 0, 5, 5]], [BOX], True),
        ([BOX], [BOX, [1, 0.29, 0, 0, 5, 5]], True),
        ([BOX, BOX], [BOX], False),
        ([BOX, [3, 0.6, 11, 10, 50, 60]], [[3, 0.61, 11, 10, 50, 60], BOX], True),
    ],
    ids=["equal", "near", "score", "class", "place", "missing", "new", "faint missing", "faint new", "twice", "order"],
)
def test_detections(expected: list[list[float]], seen: list[list[float]], same: bool) -> None:
    assert (difference("detection", expected, seen, threshold=0.25) == "") is same


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ([[1, 0.9], [2, 0.1]], [[1, 0.88], [2, 0.12]], True),
        ([[1, 0.52], [2, 0.48]], [[2, 0.51], [1, 0.49]], True),
        ([[1, 0.9], [2, 0.1]], [[2, 0.9], [1, 0.1]], False),
        ([[1, 0.9], [2, 0.03]], [[1, 0.9], [3, 0.04]], True),
        ([[1, 0.9]], [[1, float("nan")]], False),
    ],
)
def test_classes(expected: list[list[float]], seen: list[list[float]], same: bool) -> None:
    assert (difference("classification", expected, seen) == "") is same


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        ({"a": [1.0, 0.001]}, {"a": [1.01, -0.005]}, True),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.2]}, False),
        ({"a": [1.0]}, {"b": [1.0]}, False),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, False),
        ({"a": [[1.0, 2.0], [3.0, 4.0]]}, {"a": [[1.0, 2.0], [3.0, 4.5]]}, False),
        ({"a": "text"}, {"a": "text"}, True),
        ({"a": "text"}, {"a": "test"}, False),
        ({"a": 100}, {"a": 101}, False),
        ({"mean": 0.001, "max": 2.0}, {"mean": -0.002, "max": 2.01}, True),
        ({"mean": 0.001, "max": 2.0}, {"mean": 0.1, "max": 2.0}, False),
        ({"shape": [1, 384]}, {"shape": [1, 385]}, False),
        ({"a": None}, {"a": 1.0}, False),
    ],
)
def test_tensors(expected: object, seen: object, same: bool) -> None:
    assert (difference("tensors", expected, seen) == "") is same
