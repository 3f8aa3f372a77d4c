"""Boxes with labels, and lines of text, drawn on an image in numpy.

The letters are a small alphabet of our own (capitals, digits, a little punctuation), so that a
device without OpenCV draws the same picture.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Colour = Tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

_ROWS = {  # seven rows of five bits, two hexadecimal digits a row
    " ": "00000000000000", "A": "0E11111F111111", "B": "1E11111E11111E", "C": "0E11101010110E",
    "D": "1E11111111111E", "E": "1F10101E10101F", "F": "1F10101E101010", "G": "0E11101711110F",
    "H": "1111111F111111", "I": "0E04040404040E", "J": "0702020202120C", "K": "11121418141211",
    "L": "1010101010101F", "M": "111B1515111111", "N": "11191513111111", "O": "0E11111111110E",
    "P": "1E11111E101010", "Q": "0E11111115120D", "R": "1E11111E141211", "S": "0F10100E01011E",
    "T": "1F040404040404", "U": "1111111111110E", "V": "11111111110A04", "W": "11111115151B11",
    "X": "11110A040A1111", "Y": "11110A04040404", "Z": "1F01020408101F", "0": "0E11131519110E",
    "1": "040C040404040E", "2": "0E11010608101F", "3": "1E01010E01011E", "4": "02060A121F0202",
    "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E",
    "9": "0E11110F01020C", ".": "00000000000C0C", ",": "000000000C0408", "-": "0000000E000000",
    "_": "0000000000001F", ":": "000C0C000C0C00", "/": "01010204081010", "%": "18190204081303",
    "(": "02040808080402", ")": "08040202020408", "+": "0004041F040400", "?": "0E110106040004",
}  # fmt: skip


def draw_boxes(picture: Array, prediction: Sequence[Sequence[Any]], labels: Sequence[str]) -> Array:
    """A copy of `picture` (uint8 [H, W, 3] RGB) with each [class, score, x1, y1, x2, y2] framed and named."""
    out = picture.copy()
    height, width = out.shape[:2]
    line = max(1, round(max(height, width) / 400))
    for row in reversed(prediction):  # the best last, so that it lies on top
        kind, score = int(row[0]), float(row[1])
        x1, y1, x2, y2 = (int(round(v)) for v in row[2:6])
        shade = colour_of(kind)
        _frame(out, x1, y1, x2, y2, shade, line)
        name = labels[kind] if 0 <= kind < len(labels) else str(kind)
        draw_text(out, f"{name} {score:.2f}", x1, y1, shade, scale=line, above=True)
    return out


def draw_lines(picture: Array, lines: Sequence[str]) -> Array:
    """A copy of `picture` with lines of text in its top left corner (a classifier's answers)."""
    out = picture.copy()
    scale = max(1, round(max(out.shape[:2]) / 400))
    for k, text in enumerate(lines):
        draw_text(out, text, 0, k * 10 * scale, BLACK, scale)
    return out


def draw_text(out: Array, text: str, x: int, y: int, ground: Colour, scale: int = 1, above: bool = False) -> None:
    """Writes one line on a filled patch, in place; kept inside the picture. `above`: `y` is its lower edge."""
    mask = _mask(text[:60], scale)
    tall, wide = mask.shape
    y = y - tall if above else y
    y, x = max(0, min(y, out.shape[0] - tall)), max(0, min(x, out.shape[1] - wide))
    patch = out[y : y + tall, x : x + wide]
    mask = mask[: patch.shape[0], : patch.shape[1]]
    ink = BLACK if 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2] > 140 else WHITE
    patch[:] = np.where(mask[..., None], np.array(ink, np.uint8), np.array(ground, np.uint8))


def colour_of(kind: int) -> Colour:
    """A colour per class; neighbours differ by the golden angle in hue."""
    red, green, blue = colorsys.hsv_to_rgb(kind * 0.61803398875 % 1.0, 0.85, 0.95)
    return int(red * 255), int(green * 255), int(blue * 255)


def _frame(out: Array, x1: int, y1: int, x2: int, y2: int, shade: Colour, line: int) -> None:
    height, width = out.shape[:2]
    x1, x2 = max(0, min(x1, width)), max(0, min(x2, width))
    y1, y2 = max(0, min(y1, height)), max(0, min(y2, height))
    out[y1 : y1 + line, x1:x2] = shade
    out[max(y1, y2 - line) : y2, x1:x2] = shade
    out[y1:y2, x1 : x1 + line] = shade
    out[y1:y2, max(x1, x2 - line) : x2] = shade


def _mask(text: str, scale: int) -> Array:
    """bool [9·scale, (6·n+1)·scale]: the ink of a line with a margin of one pixel around."""
    glyphs: List[Array] = []
    for letter in text.upper():
        rows = bytes.fromhex(_ROWS.get(letter, _ROWS["?"]))
        bits = np.array([[row >> shift & 1 for shift in (4, 3, 2, 1, 0)] for row in rows], dtype=bool)
        glyphs.append(np.pad(bits, ((1, 1), (1, 0))))
    mask = np.concatenate(glyphs, axis=1) if glyphs else np.zeros((9, 1), dtype=bool)
    mask = np.pad(mask, ((0, 0), (0, 1)))
    return np.repeat(np.repeat(mask, scale, axis=0), scale, axis=1)
