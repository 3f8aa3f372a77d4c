"""Every decoder against a plain rendering of its formula over all places, thresholded afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.device.decoders import DECODERS, logit, sigmoid

STRIDES, SIZE, CLASSES = [8, 16], [64, 96], 3
ANCHORS = [[[10.0, 13.0], [16.0, 30.0]], [[30.0, 61.0], [62.0, 45.0]]]
THRESHOLDS = {"confidence": 0.3, "iou": 0.5, "max_detections": 100}


def heads(channels: int, seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    shapes = [(1, channels, SIZE[0] // s, SIZE[1] // s) for s in STRIDES]
    return [draw.normal(0, 2, shape).astype(np.float32) for shape in shapes]


def all_classes(table: np.ndarray, several: bool) -> set[tuple[float, ...]]:
    """{(class, score, x1, y1, x2, y2)} of decoded rows cx, cy, w, h, objectness, classes."""
    found = set()
    for row in table:
        scores = row[4] * row[5:]
        kinds = range(len(scores)) if several else [int(scores.argmax())]
        for kind in kinds:
            if scores[kind] > THRESHOLDS["confidence"]:
                x, y, w, h = row[:4]
                found.add(
                    (kind, *(round(float(v), 2) for v in (scores[kind], x - w / 2, y - h / 2, x + w / 2, y + h / 2)))
                )
    return found


def decoded(kind: str, outputs: dict, params: dict, several: bool = False) -> set[tuple[float, ...]]:
    found = DECODERS[kind](outputs, params, {**THRESHOLDS, "multi_label": float(several)})
    assert found.boxes.dtype == np.float32 and found.scores.dtype == np.float32
    return {
        (int(c), *(round(float(v), 2) for v in (s, *b)))
        for b, s, c in zip(found.boxes, found.scores, found.classes, strict=True)
    }


def near(a: set, b: set) -> None:
    """The same rows, up to the last rounded digit."""
    left, right = (np.array(sorted(s)).reshape(-1, 6) for s in (a, b))
    assert left.shape == right.shape and len(left) > 3
    assert np.abs(left - right).max() <= 0.021


def yolov5_table(raw: list[np.ndarray]) -> np.ndarray:
    """Detect.forward of YOLOv5 v6: every anchor of every cell."""
    rows = []
    for head, stride, anchors in zip(raw, STRIDES, ANCHORS, strict=True):
        _, channels, height, width = head.shape
        y = sigmoid(head.reshape(len(anchors), channels // len(anchors), height, width))
        for a, (w, h) in enumerate(anchors):
            for j in range(height):
                for i in range(width):
                    p = y[a, :, j, i]
                    box = (
                        (p[0] * 2 - 0.5 + i) * stride,
                        (p[1] * 2 - 0.5 + j) * stride,
                        (p[2] * 2) ** 2 * w,
                        (p[3] * 2) ** 2 * h,
                    )
                    rows.append([*box, *p[4:]])
    return np.array(rows, np.float32)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_yolov5_heads_decode_as_the_whole_grid_does(several, layout):
    raw = heads(2 * (5 + CLASSES))
    outputs = {f"head{k}": h if layout == "NCHW" else h.transpose(0, 2, 3, 1).copy() for k, h in enumerate(raw)}
    params = {"roles": list(outputs), "strides": STRIDES, "anchors": ANCHORS, "layout": layout}
    table = yolov5_table(raw)
    near(decoded("yolov5_heads", outputs, params, several), all_classes(table, several))
    near(decoded("yolov5_flat", {"out": table[None]}, {"role": "out"}, several), all_classes(table, several))


def test_both_layouts_of_heads_give_the_same_order():
    raw = [np.zeros_like(h) for h in heads(2 * (5 + CLASSES))]  # all scores equal: order is all there is
    params = {"roles": ["a", "b"], "strides": STRIDES, "anchors": ANCHORS}
    limits = {**THRESHOLDS, "confidence": 0.2}
    planes = DECODERS["yolov5_heads"](dict(zip("ab", raw, strict=True)), params, limits)
    last = {name: h.transpose(0, 2, 3, 1).copy() for name, h in zip("ab", raw, strict=True)}
    rows = DECODERS["yolov5_heads"](last, {**params, "layout": "NHWC"}, limits)
    assert len(planes.scores) == 2 * (8 * 12 + 4 * 6)
    assert np.array_equal(planes.boxes, rows.boxes)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("in_graph", [False, True])
def test_yolox_decodes_its_grids_in_order(several, in_graph):
    draw = np.random.default_rng(3)
    rows = []
    cells = [(i, j, s) for s in STRIDES for j in range(SIZE[0] // s) for i in range(SIZE[1] // s)]
    raw = np.concatenate([draw.normal(0, 1, (len(cells), 4)), draw.random((len(cells), 1 + CLASSES))], axis=1)
    for p, (i, j, s) in zip(raw, cells, strict=True):
        rows.append([(p[0] + i) * s, (p[1] + j) * s, np.exp(p[2]) * s, np.exp(p[3]) * s, *p[4:]])
    table = np.array(rows, np.float32)
    given = table if in_graph else raw.astype(np.float32)
    params = {"role": "out", "strides": STRIDES, "size": SIZE, "decoded": in_graph}
    near(decoded("yolox", {"out": given[None]}, params, several), all_classes(table, several))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_yolov8_heads_take_the_mean_of_each_sides_distribution(several, layout):
    bins, rows = 4, []
    raw = heads(4 * bins + CLASSES, seed=5)
    for head, stride in zip(raw, STRIDES, strict=True):
        for j in range(head.shape[2]):
            for i in range(head.shape[3]):
                p = head[0, :, j, i].astype(np.float64)
                sides = []
                for k in range(4):
                    weight = np.exp(p[k * bins : (k + 1) * bins])
                    sides.append((weight / weight.sum()) @ np.arange(bins))
                x1, y1 = (i + 0.5 - sides[0]) * stride, (j + 0.5 - sides[1]) * stride
                x2, y2 = (i + 0.5 + sides[2]) * stride, (j + 0.5 + sides[3]) * stride
                scores = 1 / (1 + np.exp(-p[4 * bins :]))
                rows.append([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, 1, *scores])
    table = np.array(rows)
    outputs = {f"p{k}": h if layout == "NCHW" else h.transpose(0, 2, 3, 1).copy() for k, h in enumerate(raw)}
    params = {"roles": list(outputs), "strides": STRIDES, "reg_max": bins, "layout": layout}
    near(decoded("yolov8_heads", outputs, params, several), all_classes(table, several))
    flat = np.delete(table, 4, axis=1).T.astype(np.float32)
    near(decoded("yolov8_flat", {"out": flat[None]}, {"role": "out"}, several), all_classes(table, several))


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_nothing_over_the_threshold_is_no_candidate(kind):
    low = {"head": np.full((1, 2 * (5 + CLASSES), 8, 12), -20, np.float32), "flat": np.zeros((1, 120, 8), np.float32)}
    low |= {"eight": np.full((1, 16 + CLASSES, 8, 12), -20, np.float32), "columns": np.zeros((1, 7, 96), np.float32)}
    params = {
        "yolov5_heads": {"roles": ["head"], "strides": [8], "anchors": ANCHORS[:1]},
        "yolov5_flat": {"role": "flat"},
        "yolox": {"role": "flat", "strides": STRIDES, "size": SIZE},
        "yolov8_flat": {"role": "columns"},
        "yolov8_heads": {"roles": ["eight"], "strides": [8], "reg_max": 4},
    }[kind]
    found = DECODERS[kind](low, params, THRESHOLDS)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,) and found.classes.shape == (0,)


def test_scores_of_broken_networks_are_dropped_without_a_warning():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert sigmoid(np.array([-200.0, 200.0], np.float32)).tolist() == [0.0, 1.0]
    head = {"head": np.full((1, 2 * (5 + CLASSES), 8, 12), np.nan, np.float32)}
    params = {"roles": ["head"], "strides": [8], "anchors": ANCHORS[:1]}
    assert len(DECODERS["yolov5_heads"](head, params, THRESHOLDS).scores) == 0


def test_logit_is_infinite_at_its_ends():
    assert logit(0.5) == 0 and logit(0) == -np.inf and logit(1) == np.inf
