"""Every candidate box over 0.25 of a flat YOLOv5 output against the same cell of raw heads: a program of its own, since
AscendCL is found by variables that have to be there when a process starts. Folders as arguments, images on stdin."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from edgewright.device.service import Service

THRESHOLD = 0.25


def main(flat_folder: str, heads_folder: str) -> None:
    flat, heads = Service(flat_folder), Service(heads_folder)
    one, other = flat.session("serve"), heads.session("serve")
    params = next(s["params"] for s in heads.spec["task"]["postprocess"] if s["kind"] == "yolov5_heads")
    count, worst_iou, worst_score = 0, 1.0, 0.0
    for path in json.load(sys.stdin):
        image = one.decode(path)
        decoded = next(iter(one.infer(one.prepare(image)[0]).values()))[0].copy()
        raw = {role: array.copy() for role, array in other.infer(other.prepare(image)[0]).items()}
        wanted = decoded[:, 4:5] * decoded[:, 5:]
        kept = np.flatnonzero(wanted.max(axis=1) >= THRESHOLD)
        if not kept.size:
            continue
        best = wanted[kept].argmax(axis=1)
        boxes, scores = decode(raw, params, kept)
        count += kept.size
        worst_iou = min(worst_iou, float(iou(decoded[kept, :4], boxes).min()))
        difference = np.abs(wanted[kept].max(axis=1) - scores[np.arange(kept.size), best])
        worst_score = max(worst_score, float(difference.max()))
    flat.close()
    heads.close()
    json.dump({"boxes": count, "worst_iou": worst_iou, "worst_score": worst_score}, sys.stdout)


def decode(raw: dict[str, Any], params: dict[str, Any], kept: Any) -> tuple[Any, Any]:
    """Boxes (centre, size) and scores of the cells `kept`, numbered as in the flat output; by the YOLOv5 formulae."""
    boxes, scores, first = [], [], 0
    for role, stride, anchors in zip(params["roles"], params["strides"], params["anchors"], strict=True):
        t = raw[role][0]
        fields, height, width = t.shape
        count = len(anchors)
        here = kept[(kept >= first) & (kept < first + count * height * width)] - first
        first += count * height * width
        anchor, down, across = np.unravel_index(here, (count, height, width))
        cells = t.reshape(count, fields // count, height, width)[anchor, :, down, across].astype(np.float64)
        y = 1 / (1 + np.exp(-cells))
        centre = (y[:, :2] * 2 - 0.5 + np.stack([across, down], -1)) * stride
        size = (y[:, 2:4] * 2) ** 2 * np.asarray(anchors)[anchor]
        boxes.append(np.concatenate([centre, size], -1))
        scores.append(y[:, 4:5] * y[:, 5:])
    return np.concatenate(boxes), np.concatenate(scores)


def iou(a: Any, b: Any) -> Any:
    low = np.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    high = np.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    both = np.prod(np.maximum(high - low, 0), axis=1)
    return both / (a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - both)


if __name__ == "__main__":
    main(*sys.argv[1:])
