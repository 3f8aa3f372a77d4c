"""Suppression against the definition of it, and the way back to source pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.device import boxes
from edgewright.device.boxes import Candidates, Geometry


def candidates(seed: int, count: int, kinds: int, levels: int) -> Candidates:
    draw = np.random.default_rng(seed)
    corner, sides = draw.uniform(0, 80, (count, 2)), draw.uniform(5, 60, (count, 2))
    found = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    scores = (draw.integers(1, levels + 1, count) / levels).astype(np.float32)
    return Candidates(found, scores, draw.integers(0, kinds, count))


def greedy(found: Candidates, iou: float, limit: int, class_wise: bool) -> list[int]:
    """The definition: best first, in order of position among equals."""
    kept: list[int] = []
    for i in sorted(range(len(found.scores)), key=lambda k: (-found.scores[k], k)):
        rivals = [k for k in kept if not class_wise or found.classes[k] == found.classes[i]]
        if all(not boxes.overlaps(found.boxes[[k]], found.boxes[[i]], iou)[0, 0] for k in rivals):
            kept.append(i)
    return kept[:limit]


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    kinds=st.integers(1, 4),
    levels=st.sampled_from([3, 1000]),
    iou=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    limit=st.sampled_from([1, 5, 100]),
    class_wise=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_suppression_is_greedy_with_ties_in_the_decoders_order(seed, count, kinds, levels, iou, limit, class_wise):
    found = candidates(seed, count, kinds, levels)
    assert boxes.nms(found, iou, limit, class_wise).tolist() == greedy(found, iou, limit, class_wise)


def test_suppression_across_chunks_is_the_same(monkeypatch):
    found = candidates(1, 300, 3, 50)
    whole = boxes.nms(found, 0.5, 100).tolist()
    monkeypatch.setattr(boxes, "CHUNK", 7)
    assert boxes.nms(found, 0.5, 100).tolist() == whole == greedy(found, 0.5, 100, True)


def test_overlap_is_intersection_over_union():
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]], np.float32)
    assert boxes.overlaps(a, b, 0.33).tolist() == [[True, True, False, False]]
    assert boxes.overlaps(a, b, 0.34).tolist() == [[True, False, False, False]]


def test_boxes_return_to_source_pixels_and_stay_inside_the_image():
    geometry = Geometry(width=200, height=100, scale_x=0.5, scale_y=0.5, left=0, top=25)
    network = np.array([[10, 30, 50, 60], [-20, 0, 400, 400]], np.float32)
    assert boxes.to_source(network, geometry).tolist() == [[20, 10, 100, 70], [0, 0, 200, 100]]


def test_boxes_that_are_no_numbers_are_dropped():
    found = Candidates(
        np.array([[0, 0, 1, 1], [np.nan, 0, 1, 1], [0, 0, np.inf, 1]], np.float32),
        np.array([0.5, 0.9, 0.9], np.float32),
        np.array([3, 1, 1]),
    )
    assert boxes.finite(found).classes.tolist() == [3]


def test_rows_are_plain_json():
    rows = boxes.rows(np.array([[1, 2, 3, 4.5]], np.float32), np.array([0.25], np.float32), np.array([7]))
    assert rows == [[7, 0.25, 1.0, 2.0, 3.0, 4.5]]
    assert [type(v) for v in rows[0]] == [int, float, float, float, float, float]
