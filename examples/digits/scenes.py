"""Scenes of handwritten digits: a number in, an image with its boxes out, always the same ones.

The handwriting is real: scikit-learn's 1,797 labelled 8×8 digits (the test part of UCI "Optical Recognition of
Handwritten Digits", 13 writers). The split is by position, not by chance, because neighbours in that file come from
the same hand: the first 1,347 are for training and calibration, the last 450 for validation. No digit image is on
both sides.

A scene is a made-up surface (plain, graded, cloudy, striped, patched) with one to eight digits drawn on it, each
turned, slanted, stretched, coloured and then blurred and made noisy together with its surface. A box is the smallest
rectangle around the pixels that are at least half ink.

    python examples/digits/scenes.py --out .edgewright/data/digits --train 300 --val 3000

writes `images/{train,val}/*.jpg`, `labels/{train,val}/*.txt` (YOLO: class, centre x, centre y, width, height, all
relative) and `data.yaml`. The configurations beside this file have it done (`prepare: scenes.py:prepare`).
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

NAMES = tuple("0123456789")
SPLITS = {"train": slice(0, 1347), "val": slice(1347, 1797)}
SCENE_SIZE = 256
DIGITS_PER_SCENE = (1, 8)
DIGIT_HEIGHT = (22, 104)
"""Shortest and tallest digit, in pixels, before it is turned and stretched."""
MAX_OVERLAP = 0.05
"""The part of the smaller of two boxes that the other may cover."""
JPEG_QUALITY = 92
FORMAT = 1
"""Raised whenever the same seed would draw something else, so that written folders are drawn again."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """One drawn scene.

    image: uint8 [H, W, 3], RGB. boxes: float32 [n, 4], x1 y1 x2 y2 in pixels, the far edges exclusive.
    labels: int64 [n], the digit. sources: int64 [n], which of the 1,797 handwritten digits was drawn.
    """

    image: npt.NDArray[np.uint8]
    boxes: Floats
    labels: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]


@functools.cache
def handwriting() -> tuple[Floats, npt.NDArray[np.int64]]:
    """All handwritten digits: ink float32 [1797, 8, 8] from 0 (paper) to 1, and their labels int64 [1797]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images / 16).astype(np.float32), digits.target.astype(np.int64)


def draw_scene(
    seed: int,
    split: str,
    size: int = SCENE_SIZE,
    digits: tuple[int, int] = DIGITS_PER_SCENE,
    warp: float = 1.0,
) -> Scene:
    """Draw scene number `seed` of a split (`train` or `val`): `size`×`size` pixels.

    `digits` is the fewest and the most digits tried (one that finds no free place is left out, the first never is);
    `warp` scales how much they are turned, slanted and stretched, and is above 1 only to train on harder scenes.
    """
    chosen = SPLITS[split]
    rng = np.random.default_rng((seed, chosen.start, FORMAT))
    surface = _surface(rng, size)
    ink, answers = handwriting()
    boxes: list[tuple[int, int, int, int]] = []
    sources: list[int] = []
    for _ in range(int(rng.integers(digits[0], digits[1] + 1))):
        source = int(rng.integers(chosen.start, chosen.stop))
        mask = _written(rng, ink[source], warp)
        place = _free_place(rng, mask.shape, size, boxes)
        if place is None:
            continue
        x, y = place
        height, width = mask.shape
        _lay_ink(rng, surface[y : y + height, x : x + width], mask)
        boxes.append((x, y, x + width, y + height))
        sources.append(source)
    image = _photographed(rng, surface)
    chosen_sources = np.array(sources, np.int64)
    return Scene(image, np.array(boxes, np.float32).reshape(-1, 4), answers[chosen_sources], chosen_sources)


def _surface(rng: np.random.Generator, size: int) -> Floats:
    """What the digits are written on: float32 [size, size, 3], 0–255, mostly dark or mostly light."""
    base = rng.uniform(30, 225) + rng.uniform(-35, 35, 3)
    surface = np.empty((size, size, 3), np.float32)
    surface[:] = base
    for cells in (2, int(rng.integers(3, 7)), int(rng.integers(8, 40))):
        if rng.random() < 0.6:  # a coarse random grid, enlarged smoothly: slopes, clouds, grain
            depth = rng.uniform(4, 30) * (0.6 if cells > 7 else 1.0)
            grid = rng.normal(0, depth, (cells, cells, 3 if rng.random() < 0.5 else 1)).astype(np.float32)
            enlarged = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
            surface += enlarged.reshape(size, size, -1)
    if rng.random() < 0.3:
        surface += _stripes(rng, size)
    for _ in range(int(rng.integers(0, 5))):
        _patch(rng, surface)
    return surface


def _stripes(rng: np.random.Generator, size: int) -> Floats:
    """A wave across the surface, as on cloth or ruled paper: float32 [size, size, 1]."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 60)
    across = np.arange(size, dtype=np.float32) * np.float32(2 * np.pi / period)
    wave = np.sin(across[None, :] * np.float32(np.cos(angle)) + across[:, None] * np.float32(np.sin(angle)))
    if rng.random() < 0.4:
        wave = (wave > 0.9).astype(np.float32)
    return (wave * np.float32(rng.uniform(4, 22)))[:, :, None]


def _patch(rng: np.random.Generator, surface: Floats) -> None:
    """Something that is not a digit: a filled rectangle, a disc or a line, in a colour near the surface's."""
    size = surface.shape[0]
    first, second = (tuple(int(v) for v in rng.integers(0, size, 2)) for _ in range(2))
    colour = tuple(float(v) for v in surface.mean(axis=(0, 1)) + rng.normal(0, 28, 3))
    kind = rng.integers(3)
    if kind == 0:
        cv2.rectangle(surface, first, second, colour, -1)
    elif kind == 1:
        cv2.circle(surface, first, int(rng.integers(4, size // 3)), colour, -1, cv2.LINE_8)
    else:
        cv2.line(surface, first, second, colour, int(rng.integers(1, 9)), cv2.LINE_8)


def _written(rng: np.random.Generator, ink: Floats, warp: float) -> Floats:
    """One digit as it lands in the scene: how much ink covers each pixel, float32 [h, w] in 0–1, cut tight."""
    height = float(np.exp(rng.uniform(*np.log(DIGIT_HEIGHT))))
    stretch = float(np.exp(rng.normal(0, 0.12) * warp))
    scale = np.array([height / 8 * stretch, height / 8])
    angle, slant = np.deg2rad(rng.normal(0, 7) * warp), rng.normal(0, 0.12) * warp
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag(scale)
    side = int(np.ceil(np.abs(linear).sum(axis=1).max() * 10))
    shift = np.array([side / 2, side / 2]) - linear @ np.array([3.5, 3.5])
    drawn = cv2.warpAffine(ink, np.column_stack([linear, shift]), (side, side), flags=cv2.INTER_CUBIC)
    threshold = rng.uniform(0.32, 0.52)  # a lower one is a thicker pen
    softness = max(0.08, 2.2 / height)
    mask = np.clip((drawn - threshold) / (2 * softness) + 0.5, 0, 1).astype(np.float32)
    solid = mask >= 0.5
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _free_place(
    rng: np.random.Generator, shape: tuple[int, ...], size: int, taken: Sequence[tuple[int, int, int, int]]
) -> tuple[int, int] | None:
    """The left upper corner for a digit wholly inside the scene and off the others, or None if none was found."""
    height, width = shape
    if height >= size or width >= size:
        return None
    for _ in range(20):
        x, y = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
        if all(_covered((x, y, x + width, y + height), other) <= MAX_OVERLAP for other in taken):
            return x, y
    return None


def _covered(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """The part of the smaller box that lies under the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / smaller


def _lay_ink(rng: np.random.Generator, under: Floats, mask: Floats) -> None:
    """Blend the ink into its place, in a colour that stands out from what lies under it by 55 grey levels or more."""
    ground = under.mean(axis=(0, 1))
    contrast = rng.uniform(55, 170)
    darker = rng.random() < (ground.mean() / 255 - 0.5) * 2.4 + 0.5
    level = ground.mean() + (-contrast if darker else contrast)
    if not 0 <= level <= 255:
        level = ground.mean() + (contrast if darker else -contrast)
    colour = np.clip(level + rng.normal(0, 22, 3), 0, 255).astype(np.float32)
    under += mask[:, :, None] * (colour - under)


def _photographed(rng: np.random.Generator, surface: Floats) -> npt.NDArray[np.uint8]:
    """What a camera makes of the surface: some blur, some noise, uint8."""
    if rng.random() < 0.4:
        surface = cv2.GaussianBlur(surface, (0, 0), float(rng.uniform(0.4, 1.1)))
    noise = rng.uniform(0, 12)
    surface = surface + rng.standard_normal(surface.shape, np.float32) * np.float32(noise)
    return np.clip(np.rint(surface), 0, 255).astype(np.uint8)


def write_dataset(out: Path, counts: dict[str, int], size: int = SCENE_SIZE, workers: int = 2) -> Path:
    """Write `counts[split]` scenes a split under `out` in the YOLO layout, and return the path of its `data.yaml`.

    A folder that already holds exactly these scenes is left as it is; any other content of its `images` and `labels` is
    replaced. The note that says what the folder holds is written last, so a folder cut short is drawn again.
    """
    note, wanted = out / "scenes.json", json.dumps({"format": FORMAT, "size": size, "counts": counts})
    if note.exists() and note.read_text() == wanted:
        return out / "data.yaml"
    note.unlink(missing_ok=True)
    for folder in (out / "images", out / "labels"):
        shutil.rmtree(folder, ignore_errors=True)
    # Not forked: a copy of a program whose libraries run threads may wait for ever for one that was not copied.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = []
        for split, count in counts.items():
            (out / "images" / split).mkdir(parents=True)
            (out / "labels" / split).mkdir(parents=True)
            jobs += [
                pool.submit(_write_scenes, out, split, range(start, min(start + 100, count)), size)
                for start in range(0, count, 100)
            ]
        for job in jobs:
            job.result()
    names = "\n".join(f'  {number}: "{name}"' for number, name in enumerate(NAMES))
    folders = "\n".join(f"{split}: images/{split}" for split in counts)
    (out / "data.yaml").write_text(f"path: .\n{folders}\nnames:\n{names}\n")
    note.write_text(wanted)
    return out / "data.yaml"


def _write_scenes(out: Path, split: str, seeds: range, size: int) -> None:
    cv2.setNumThreads(1)
    for seed in seeds:
        scene = draw_scene(seed, split, size)
        name = out / "images" / split / f"{seed:06d}.jpg"
        bgr = np.ascontiguousarray(scene.image[:, :, ::-1])
        if not cv2.imwrite(str(name), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"{name} could not be written")
        (out / "labels" / split / f"{seed:06d}.txt").write_text(yolo_lines(scene, size))


def yolo_lines(scene: Scene, size: int) -> str:
    """The scene's boxes as YOLO label lines: class, centre x, centre y, width, height, relative to the image."""
    centres = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / (2 * size)
    extents = (scene.boxes[:, 2:] - scene.boxes[:, :2]) / size
    rows = zip(scene.labels, centres, extents, strict=True)
    return "".join(f"{label} {c[0]:.6f} {c[1]:.6f} {e[0]:.6f} {e[1]:.6f}\n" for label, c, e in rows)


def prepare(folder: Path) -> None:
    """What `data.prepare` of the configurations calls. In a process of its own, whose workers can import this file
    under its name, and whose output is kept off ours, which may be one JSON object."""
    subprocess.run([sys.executable, __file__, "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write scenes of handwritten digits in the YOLO layout.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--train", type=int, default=300, help="scenes in the training handwriting")
    parser.add_argument("--val", type=int, default=3000, help="scenes in the validation handwriting")
    parser.add_argument("--size", type=int, default=SCENE_SIZE, help="width and height of a scene, in pixels")
    given = parser.parse_args()
    print(write_dataset(given.out, {"train": given.train, "val": given.val}, given.size))


if __name__ == "__main__":
    main()
