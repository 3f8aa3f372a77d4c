"""mAP by three hands: faster-coco-eval, pycocotools, and our own accumulation that can be resampled."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.core.task import Dataset, Sample
from edgewright.tasks.detection.average_precision import RECALLS, AveragePrecision, _recalls_reached
from edgewright.tasks.detection.matching import match
from edgewright.tasks.detection.score import coco_average_precision, score

pytest.importorskip("faster_coco_eval")


def scenes(
    seed: int, images: int, kinds: int, found: int, crowds: bool = False, ties: bool = False
) -> tuple[list, list]:
    """Truths, and predictions that are shifted truths and free inventions."""
    draw = np.random.default_rng(seed)
    digits = 1 if ties else 9
    truths, predictions = [], []
    for _ in range(images):
        truth, rows = [], []
        for _ in range(draw.integers(0, 7)):
            x, y, w, h = *draw.uniform(0, 400, 2), *draw.uniform(60, 200, 2)
            truth.append(
                [int(draw.integers(kinds)), x, y, x + w, y + h, *([1] if crowds and draw.random() < 0.2 else [])]
            )
        for t in truth:
            for _ in range(draw.integers(0, 3)):
                kind = t[0] if draw.random() < 0.9 else int(draw.integers(kinds))
                rows.append([kind, round(draw.random(), digits), *(np.array(t[1:5]) + draw.normal(0, 8, 4))])
        while len(rows) < found:
            x, y, w, h = *draw.uniform(0, 400, 2), *draw.uniform(60, 200, 2)
            rows.append([int(draw.integers(kinds)), round(draw.random() / 2, digits), x, y, x + w, y + h])
        truths.append(truth)
        predictions.append(rows)
    return truths, predictions


def pycocotools_average_precision(truths: list, predictions: list) -> np.ndarray:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    wanted = [
        {
            "image_id": i,
            "category_id": r[0] + 1,
            "bbox": [r[1], r[2], r[3] - r[1], r[4] - r[2]],
            "iscrowd": int(len(r) > 5),
        }
        for i, rows in enumerate(truths, 1)
        for r in rows
    ]
    for number, entry in enumerate(wanted, 1):
        entry |= {"id": number, "area": entry["bbox"][2] * entry["bbox"][3]}
    found = [
        {"image_id": i, "category_id": r[0] + 1, "bbox": [r[2], r[3], r[4] - r[2], r[5] - r[3]], "score": r[1]}
        for i, rows in enumerate(predictions, 1)
        for r in rows
    ]
    kinds = sorted({e["category_id"] for e in wanted + found})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(len(truths))],
            "categories": [{"id": k} for k in kinds],
            "annotations": wanted,
        }
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"].reshape(10, -1)
    return np.array([row[row > -1].mean() for row in precision])


def dataset(truths: list) -> Dataset:
    return Dataset("scenes", tuple(Sample(str(i), Path("x"), t) for i, t in enumerate(truths)), True, "")


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_all_three_agree(seed, crowds, ties):
    truths, predictions = scenes(seed, 40, 1 + seed * 3, 15, crowds, ties)
    ours = AveragePrecision(match(truths, predictions)).value()
    assert np.abs(ours - pycocotools_average_precision(truths, predictions)).max() < 1e-9
    assert np.abs(ours - coco_average_precision(truths, predictions)).max() < 1e-9


@given(seed=st.integers(0, 10_000), kinds=st.integers(1, 6), found=st.sampled_from([0, 3, 20]), crowds=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_whole_sample_resampled_is_the_value(seed, kinds, found, crowds):
    truths, predictions = scenes(seed, 12, kinds, found, crowds)
    for metric in ("map50_95", "map50"):
        result = score(dataset(truths), predictions, metric)
        assert abs(result.resample(range(len(truths))) - result.value) < 1e-6
        assert len(result) == 12 and 0 <= result.value <= 1


@pytest.mark.parametrize("seed", range(4))
def test_an_image_drawn_twice_counts_twice(seed):
    truths, predictions = scenes(seed, 30, 3, 10, crowds=seed % 2 == 0)
    result = score(dataset(truths), predictions, "map50_95")
    drawn = np.random.default_rng(seed).integers(0, 30, 30)
    again = pycocotools_average_precision([truths[i] for i in drawn], [predictions[i] for i in drawn])
    assert abs(result.resample(drawn) - again.mean()) < 1e-9


def test_more_than_100_detections_of_a_class_are_cut_as_coco_cuts_them():
    truths, predictions = scenes(7, 5, 1, 150)
    ours = AveragePrecision(match(truths, predictions)).value()
    assert np.abs(ours - pycocotools_average_precision(truths, predictions)).max() < 1e-9


def test_the_ends_are_one_and_zero():
    truths, _ = scenes(1, 6, 3, 0)
    perfect = [[[t[0], 0.9, *t[1:5]] for t in rows] for rows in truths]
    assert score(dataset(truths), perfect, "map50_95").value == pytest.approx(1)
    nothing = score(dataset(truths), [[] for _ in truths], "map50_95")
    assert (nothing.value, nothing.resample([0, 0]), nothing.others) == (0, 0, {"map50": 0.0})
    empty = score(dataset([[], []]), [[[0, 0.5, 1, 1, 2, 2]], []], "map50")
    assert (empty.value, empty.resample([1, 1])) == (0, 0)


@given(hits=st.integers(0, 400), total=st.integers(1, 400))
@settings(deadline=None)
def test_recalls_are_compared_as_floats_just_as_coco_does(hits, total):
    recall = np.array([min(hits, total) / total])
    assert _recalls_reached(recall)[0] == np.searchsorted(RECALLS, recall[0], side="right") - 1


def test_a_metric_that_cannot_be_had_is_refused():
    bare = Dataset("bare", (Sample("a", Path("x")),), False, "")
    with pytest.raises(InputError, match="no labels"):
        score(bare, [[]], "map50")
    with pytest.raises(InputError, match="no metric"):
        score(dataset([[]]), [[]], "accuracy")
