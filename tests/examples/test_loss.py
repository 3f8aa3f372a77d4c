from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgewright[torch]'")

STRIDES = (8, 16, 32)
ANCHORS = torch.tensor([[[20.0, 30.0]], [[40.0, 60.0]], [[80.0, 100.0]]])


@pytest.fixture
def loss(example):
    return example("digits/loss.py")


def heads_that_answer(loss, truth, classes=10):
    """Heads that answer every box exactly where the loss asks for an answer, and nothing elsewhere."""
    heads = []
    for anchors, stride in zip(ANCHORS, STRIDES, strict=True):
        side = 256 // stride
        head = torch.full((1, 1, side, side, 5 + classes), -12.0)
        pairs = loss.answering(truth, anchors / stride, stride, side, side)
        for image, anchor, y, x, label, box in zip(
            pairs.image, pairs.anchor, pairs.row, pairs.column, pairs.label, pairs.boxes, strict=True
        ):
            centre = (box[:2] + 0.5) / 2
            extent = (box[2:] / (anchors[anchor] / stride)).sqrt() / 2
            head[image, anchor, y, x, :4] = torch.logit(torch.cat((centre, extent)), eps=1e-6)
            head[image, anchor, y, x, 4] = 12.0
            head[image, anchor, y, x, 5 + label] = 12.0
        heads.append(head)
    return heads


def test_the_right_answer_costs_next_to_nothing(loss):
    truth = torch.tensor([[0, 3, 70.0, 90.0, 36.0, 55.0]])
    right = loss.detection_loss(heads_that_answer(loss, truth), truth, ANCHORS, STRIDES)
    assert right < 0.01
    wrong_class = loss.detection_loss(heads_that_answer(loss, truth), truth.clone().index_fill(1, torch.tensor([1]), 4),
                                      ANCHORS, STRIDES)  # fmt: skip
    assert wrong_class > right + 0.5
    elsewhere = loss.detection_loss(heads_that_answer(loss, truth + torch.tensor([0, 0, 64.0, 0, 0, 0])), truth,
                                    ANCHORS, STRIDES)  # fmt: skip
    assert elsewhere > right + 0.5


def test_a_box_is_answered_in_its_own_cell_and_the_two_nearest(loss):
    truth = torch.tensor([[0, 1, 8 * 10 + 2.0, 8 * 5 + 7.0, 20.0, 30.0]])  # left of the cell's middle, below it
    pairs = loss.answering(truth, ANCHORS[0] / 8, 8, 32, 32)
    cells = set(zip(pairs.column.tolist(), pairs.row.tolist(), strict=True))
    assert cells == {(10, 5), (9, 5), (10, 6)}


def test_cells_outside_the_grid_answer_for_nothing(loss):
    truth = torch.tensor([[0, 1, 1.0, 255.0, 20.0, 30.0]])
    pairs = loss.answering(truth, ANCHORS[0] / 8, 8, 32, 32)
    assert list(zip(pairs.column.tolist(), pairs.row.tolist(), strict=True)) == [(0, 31)]


def test_an_anchor_four_times_off_does_not_answer(loss):
    truth = torch.tensor([[0, 1, 100.0, 100.0, 20.0 * 4.1, 30.0]])
    assert len(loss.answering(truth, ANCHORS[0] / 8, 8, 32, 32).label) == 0


def test_complete_iou_is_one_for_equal_boxes_and_below_iou_otherwise(loss):
    boxes = torch.tensor([[5.0, 5.0, 4.0, 6.0]])
    assert loss.complete_iou(boxes, boxes).item() == pytest.approx(1, abs=1e-5)
    moved = loss.complete_iou(boxes, boxes + torch.tensor([2.0, 0, 0, 0])).item()
    # half of each is shared: IoU 12 / 36; centres 2 apart, the whole is 6 by 6
    assert moved == pytest.approx(1 / 3 - 4 / 72, abs=1e-5)


def test_an_empty_batch_still_teaches_that_there_is_nothing(loss):
    heads = [torch.zeros(2, 1, 256 // s, 256 // s, 15, requires_grad=True) for s in STRIDES]
    total = loss.detection_loss(heads, torch.zeros(0, 6), ANCHORS, STRIDES)
    total.backward()
    assert all((head.grad[..., 4] > 0).all() for head in heads)
