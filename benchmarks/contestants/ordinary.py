"""What a competent user writes around a YOLOv5: OpenCV letterbox, float32 NCHW, decoded output, OpenCV NMS.

Shared by every contestant but ours, so that they differ only in what runs the network.
"""

from __future__ import annotations

import cv2
import numpy as np

SIZE = 640


def prepare(image: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """uint8 H×W×3 RGB → float32 1×3×640×640 in 0–1, with the scale and the left and top borders."""
    height, width = image.shape[:2]
    scale = min(SIZE / height, SIZE / width)
    new_w, new_h = round(width * scale), round(height * scale)
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    left, top = (SIZE - new_w) // 2, (SIZE - new_h) // 2
    padded = cv2.copyMakeBorder(
        resized, top, SIZE - new_h - top, left, SIZE - new_w - left, cv2.BORDER_CONSTANT, value=(114, 114, 114)
    )
    blob = np.ascontiguousarray(padded.transpose(2, 0, 1)[None]).astype(np.float32) / 255
    return blob, scale, left, top


def finish(
    output: np.ndarray,
    shape: tuple[int, ...],
    scale: float,
    left: int,
    top: int,
    confidence: float,
    iou: float,
    multi_label: bool,
) -> list[list[float]]:
    """1×25200×85 → [[class, score, x1, y1, x2, y2], …] in pixels of the image, at most 100, best first."""
    rows = output[0]
    rows = rows[rows[:, 4] > confidence]
    scores = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        index, classes = np.nonzero(scores > confidence)
        kept = scores[index, classes]
    else:
        classes = scores.argmax(1)
        kept = scores[np.arange(len(scores)), classes]
        index = np.nonzero(kept > confidence)[0]
        classes, kept = classes[index], kept[index]
    boxes = rows[index, :4].copy()
    boxes[:, :2] -= boxes[:, 2:] / 2
    chosen = cv2.dnn.NMSBoxesBatched(boxes.tolist(), kept.tolist(), classes.tolist(), confidence, iou)
    chosen = np.asarray(chosen, dtype=int).reshape(-1)
    chosen = chosen[np.argsort(-kept[chosen], kind="stable")][:100]
    found = []
    for i in chosen:
        x, y, w, h = boxes[i]
        x1, y1 = (x - left) / scale, (y - top) / scale
        x2, y2 = (x + w - left) / scale, (y + h - top) / scale
        found.append(
            [
                int(classes[i]),
                float(kept[i]),
                float(np.clip(x1, 0, shape[1])),
                float(np.clip(y1, 0, shape[0])),
                float(np.clip(x2, 0, shape[1])),
                float(np.clip(y2, 0, shape[0])),
            ]
        )
    return found
