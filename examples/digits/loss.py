"""What the detector is taught: which cells should answer for which boxes, and how far off their answers are.

The scheme is that of YOLOv5 v5–v7 (its decode is in edgewright.sources.yolov5.torch_module): an anchor answers for a
box if neither side differs by a factor of four or more, in the cell that holds the box's centre and in the nearest
cell beside it and above or below it. Boxes are judged by CIoU (Zheng et al., 2020, arXiv:2005.03572), objectness is
taught to be the IoU the box has, and classes are ten separate yes-or-no questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

MAX_RATIO = 4.0
BOX_WEIGHT = 0.15
CLASS_WEIGHT = 0.4
OBJECT_WEIGHTS = (4.0, 1.0, 0.4)
"""One per level, finest first: a level of many cells has mostly empty ones, and its mean is that much smaller."""


@dataclass(frozen=True)
class Answering:
    """Who answers for what on one level: m pairs of a cell's anchor and a box. All int64 [m] but `boxes`.

    boxes: float32 [m, 4], centre relative to the cell's left upper corner, width, height, all in cells.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    label: Tensor
    boxes: Tensor


def detection_loss(heads: Sequence[Tensor], truth: Tensor, anchors: Tensor, strides: Sequence[int]) -> Tensor:
    """The loss of a batch, a scalar.

    heads: one float32 [batch, anchors, rows, columns, 5 + classes] a level, before any sigmoid. truth: float32 [n, 6]:
    image, class, centre x, centre y, width, height in pixels. anchors: float32 [levels, anchors, 2] in pixels.
    """
    total = torch.zeros(())
    for head, own_anchors, stride, weight in zip(heads, anchors, strides, OBJECT_WEIGHTS, strict=True):
        scaled = own_anchors / stride
        pairs = answering(truth, scaled, stride, head.shape[2], head.shape[3])
        wanted = torch.zeros(head.shape[:4])
        if len(pairs.label):
            place = (pairs.image, pairs.anchor, pairs.row, pairs.column)
            given = head[place]
            centre = given[:, 0:2].sigmoid() * 2 - 0.5
            extent = (given[:, 2:4].sigmoid() * 2) ** 2 * scaled[pairs.anchor]
            overlap = complete_iou(torch.cat((centre, extent), 1), pairs.boxes)
            total = total + BOX_WEIGHT * (1 - overlap).mean()
            wanted[place] = overlap.detach().clamp(0)
            kinds = torch.zeros_like(given[:, 5:])
            kinds[torch.arange(len(pairs.label)), pairs.label] = 1
            total = total + CLASS_WEIGHT * binary_cross_entropy_with_logits(given[:, 5:], kinds)
        total = total + weight * binary_cross_entropy_with_logits(head[..., 4], wanted)
    return total


def answering(truth: Tensor, anchors: Tensor, stride: int, rows: int, columns: int) -> Answering:
    """The pairs of one level; `anchors` [a, 2] in cells of `stride` pixels, a grid of `rows`×`columns` cells."""
    boxes = truth[:, 2:] / stride
    ratio = boxes[None, :, 2:] / anchors[:, None]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < MAX_RATIO  # [a, n]
    anchor, box = fits.nonzero(as_tuple=True)

    own = boxes[:, :2].floor()
    nearer = torch.where(boxes[:, :2] - own < 0.5, -1.0, 1.0)
    beside, above = nearer * torch.tensor([1.0, 0.0]), nearer * torch.tensor([0.0, 1.0])
    cells = torch.stack((own, own + beside, own + above), 1)[box]  # [m, 3, 2] as x, y
    inside = ((cells >= 0) & (cells < torch.tensor([columns, rows]))).all(2)

    pair, which = inside.nonzero(as_tuple=True)
    anchor, box, cell = anchor[pair], box[pair], cells[pair, which]
    return Answering(
        image=truth[box, 0].long(),
        anchor=anchor,
        row=cell[:, 1].long(),
        column=cell[:, 0].long(),
        label=truth[box, 1].long(),
        boxes=torch.cat((boxes[box, :2] - cell, boxes[box, 2:]), 1),
    )


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """CIoU of boxes in pairs, [m, 4] centre and extent → [m], 1 for equal boxes: IoU less the distance of the centres
    (squared, against the diagonal of what holds both) and less the difference of shapes."""
    low_a, high_a = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    low_b, high_b = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(0).prod(1)
    iou = shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared + 1e-7)
    diagonal = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).square().sum(1) + 1e-7
    apart = (a[:, :2] - b[:, :2]).square().sum(1) / diagonal
    slant_a, slant_b = torch.atan(a[:, 2] / (a[:, 3] + 1e-7)), torch.atan(b[:, 2] / (b[:, 3] + 1e-7))
    shape = 4 / math.pi**2 * (slant_a - slant_b).square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou - apart - weight * shape
