"""Handwritten digits as gray 32×32 PNG files, a folder per class, the same files every time.

scikit-learn's 1,797 digits are drawn six ways each: shifted, turned, enlarged, lighter or darker, noisy. The split is
by position (neighbours come from the same hand): the first 1,347 train and calibrate, the last 450 validate.

    python examples/digits_classifier/data.py FOLDER    # writes FOLDER/{train,val}/{0…9}/*.png
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

SIZE = 32
WAYS = 6
SPLITS = {"train": range(1347), "val": range(1347, 1797)}

Image = npt.NDArray[np.uint8]


@functools.cache
def handwriting() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Ink float32 [1797, 8, 8] from 0 (paper) to 1, and labels int64 [1797]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)


def draw(index: int, way: int) -> Image:
    """Digit `index` of the 1,797, drawn one of endlessly many ways: uint8 [32, 32], dark ink on light paper."""
    rng = np.random.default_rng((index, way))
    ink = handwriting()[0][index]
    angle, scale = np.deg2rad(rng.normal(0, 9)), rng.uniform(2.4, 3.4)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = SIZE / 2 + rng.uniform(-2.5, 2.5, 2)
    placed = np.column_stack([turn, centre - turn @ np.array([3.5, 3.5])])
    drawn = np.clip(cv2.warpAffine(ink, placed, (SIZE, SIZE), flags=cv2.INTER_CUBIC), 0, 1)
    paper, pen = rng.uniform(150, 250), rng.uniform(5, 90)
    gray = paper + (pen - paper) * drawn + rng.normal(0, rng.uniform(2, 14), drawn.shape)
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


def prepare(folder: Path) -> None:
    """Writes both splits under `folder`; what a configuration's `data.prepare` calls."""
    labels = handwriting()[1]
    for split, indices in SPLITS.items():
        for label in range(10):
            (folder / split / str(label)).mkdir(parents=True, exist_ok=True)
        for index in indices:
            for way in range(WAYS):
                path = folder / split / str(labels[index]) / f"{index:04d}-{way}.png"
                if not cv2.imwrite(str(path), draw(index, way)):
                    raise OSError(f"{path} could not be written")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
