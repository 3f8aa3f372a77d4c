"""Is a calibration set fit to calibrate with? Findings, not silence.

What a quantiser takes from calibration is the range of each activation. If calibration and field
images come from one source, a new image exceeds the greatest of n seen values with chance 1 / (n + 1):
one in a hundred at n = 100, which is why fewer are called too few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.profile import Finding
from edgewright.core.task import Dataset, Sample
from edgewright.device.image_header import read_header

FEW = 100
LOOKED_AT = 2000
"""Images of each set that are looked at; the findings say so where there are more."""
SIDE = 16
SAME = 2.5
"""Two images are the same picture when their 16×16 thumbnails differ by less than this many gray levels
(root mean square): a re-encoding differs by below 1, one small object moved by above 5."""
SHOWN = 8


@dataclass(frozen=True)
class _Looks:
    """Per image: its id, the digest of its bytes, a gray thumbnail [n, 256], its mean brightness [n]."""

    ids: list[str]
    digests: list[str]
    thumbnails: NDArray[np.float32]

    @property
    def brightness(self) -> NDArray[np.float32]:
        return np.asarray(self.thumbnails.mean(axis=1))


def findings(
    calibration: Dataset,
    validation: Dataset | None,
    labels: Sequence[str],
    classes_of: Callable[[Any], set[int]],
) -> tuple[Finding, ...]:
    """What is wrong with `calibration`, for images. `classes_of` gives the classes in a sample's truth."""
    mine = _look(calibration)
    theirs = _look(validation) if validation else None
    found = [_too_few(calibration), _duplicates(mine)]
    if validation and theirs:
        found += [
            _overlap(mine, theirs),
            _classes(calibration, validation, labels, classes_of),
            _brightness(mine, theirs),
        ]
    return tuple(finding for finding in found if finding)


def _look(dataset: Dataset) -> _Looks:
    samples = dataset.samples[:LOOKED_AT]
    with ThreadPoolExecutor(2) as pool:
        looks = list(pool.map(_look_at, samples))
    return _Looks([s.id for s in samples], [d for d, _ in looks], np.stack([t for _, t in looks]))


def _look_at(sample: Sample) -> tuple[str, NDArray[np.float32]]:
    """(sha256, thumbnail [256]). A JPEG of some size is decoded at a quarter of it, in a tenth of the time."""
    import cv2

    data = sample.path.read_bytes()
    header = read_header(data)
    large = header is not None and min(header.width, header.height) >= 8 * SIDE
    scale = cv2.IMREAD_REDUCED_GRAYSCALE_4 if large else cv2.IMREAD_GRAYSCALE
    small = cv2.imdecode(np.frombuffer(data, np.uint8), scale | cv2.IMREAD_IGNORE_ORIENTATION)
    if small is None:
        small = np.zeros((SIDE, SIDE), np.uint8)
    thumbnail = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return hashlib.sha256(data).hexdigest(), thumbnail.astype(np.float32).reshape(-1)


def _too_few(calibration: Dataset) -> Finding | None:
    count = len(calibration.samples)
    if count >= FEW:
        return None
    return Finding(
        rule="calibration-size",
        title=f"Only {count} calibration images",
        detail=(
            f"With {count} images about one new image in {count + 1} exceeds a range that was seen; "
            f"{FEW} or more are advised."
        ),
        severity="warning",
        evidence=({"images": count, "advised": FEW},),
        remedy="Add images to `data.calibration`; they need no labels.",
    )


def _duplicates(mine: _Looks) -> Finding | None:
    pairs = [(i, j) for i, j in _same(mine.thumbnails, mine.thumbnails) if i < j]
    if not pairs:
        return None
    spare = len({j for _, j in pairs})
    exact = sum(mine.digests[i] == mine.digests[j] for i, j in pairs)
    return Finding(
        rule="calibration-duplicates",
        title=f"{spare} of {len(mine.ids)} calibration images repeat another",
        detail=f"{exact} pairs are the same file, {len(pairs) - exact} the same picture in other bytes.",
        severity="warning" if spare > 0.05 * len(mine.ids) else "info",
        share=spare / len(mine.ids),
        evidence=tuple({"image": mine.ids[j], "repeats": mine.ids[i]} for i, j in pairs[:SHOWN]),
        remedy="Leave repeated images out: they count twice and cover nothing new.",
    )


def _overlap(mine: _Looks, theirs: _Looks) -> Finding | None:
    pairs = _same(mine.thumbnails, theirs.thumbnails)
    if not pairs:
        return None
    shared = len({j for _, j in pairs})
    exact = len({j for i, j in pairs if mine.digests[i] == theirs.digests[j]})
    return Finding(
        rule="calibration-overlap",
        title=f"{shared} of {len(theirs.ids)} validation images are also used to calibrate",
        detail=f"{exact} are the same file. A metric on images that were calibrated with flatters the quantised model.",
        severity="warning",
        share=shared / len(theirs.ids),
        evidence=tuple({"calibration": mine.ids[i], "validation": theirs.ids[j]} for i, j in pairs[:SHOWN]),
        remedy="Keep the two sets apart.",
    )


def _classes(
    calibration: Dataset, validation: Dataset, labels: Sequence[str], classes_of: Callable[[Any], set[int]]
) -> Finding | None:
    if not calibration.labelled or not validation.labelled:
        return None
    there = set().union(*(classes_of(s.truth) for s in calibration.samples))
    wanted = set().union(*(classes_of(s.truth) for s in validation.samples))
    absent = sorted(wanted - there)
    if not absent:
        return None
    names = [labels[k] if k < len(labels) else str(k) for k in absent]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return Finding(
        rule="calibration-classes",
        title=f"{len(absent)} of {len(wanted)} classes are not in the calibration images",
        detail=f"Validation shows {', '.join(names[:SHOWN])}{more}; calibration does not.",
        severity="info" if len(absent) < 0.25 * len(wanted) else "warning",
        share=len(absent) / len(wanted),
        evidence=tuple({"class": name} for name in names),
        remedy="Add images of these classes to `data.calibration`.",
    )


def _brightness(mine: _Looks, theirs: _Looks) -> Finding | None:
    """Fires when clearly more validation images lie outside the calibration range than chance would put there."""
    low, high = float(mine.brightness.min()), float(mine.brightness.max())
    outside = (theirs.brightness < low - 1) | (theirs.brightness > high + 1)
    share = float(outside.mean())
    if share <= max(0.05, 3 * 2 / (len(mine.ids) + 1)):
        return None
    seen = theirs.brightness
    return Finding(
        rule="calibration-brightness",
        title=f"{share:.0%} of the validation images are darker or brighter than any calibration image",
        detail=(
            f"Mean brightness (0 to 255) is {low:.0f} to {high:.0f} in calibration, "
            f"{seen.min():.0f} to {seen.max():.0f} in validation."
        ),
        severity="warning",
        share=share,
        evidence=tuple({"image": theirs.ids[k], "brightness": float(seen[k])} for k in np.flatnonzero(outside)[:SHOWN]),
        remedy="Calibrate with images of every lighting that the device will see.",
    )


def _same(a: NDArray[np.float32], b: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Index pairs of thumbnails that show the same picture; one matrix product for all distances."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    return [(int(i), int(j)) for i, j in np.argwhere(squares < SAME**2 * a.shape[1])]
