"""What an image file says of itself before it is decoded: format, size, orientation, completeness.

Read from the bytes here and not by OpenCV or Pillow, so that both decode the same picture the same
way up, and so that a huge or cut-off picture is refused before memory is spent on it. Formats: JPEG
(ITU T.81, Exif 2.32), PNG (third edition, `eXIf`), BMP, WebP (RFC 9649).
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional

_STANDALONE = (0x01, *range(0xD0, 0xD9))  # JPEG markers without a length: TEM, RST0–7, SOI
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0–15 less DHT, JPG, DAC
_ORIENTATION = 0x0112


class Header(NamedTuple):
    """`width` and `height` are pixels as stored; `orientation` is Exif's 1 to 8 (1 = as stored)."""

    format: str
    width: int
    height: int
    orientation: int = 1
    complete: bool = True

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) once the orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(data: bytes) -> Optional[Header]:
    """The header of an image file's bytes; None where it is no image of a known format."""
    try:
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data)
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(data)
        if data[:2] == b"BM":
            return _bmp(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        pass  # the file ends inside its own header
    return None


def _jpeg(data: bytes) -> Optional[Header]:
    at, orientation, size = 2, 1, None
    while True:
        while data[at] != 0xFF:
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _FRAMES:
            size = struct.unpack_from(">HH", data, at + 3)
        elif marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 8 : at + length])
        elif marker == 0xDA:  # the picture itself; after it only the end marker matters
            break
        elif marker == 0xD9:
            return None
        at += length
    if size is None:
        return None
    return Header("JPEG", size[1], size[0], orientation, data.find(b"\xff\xd9", at) >= 0)


def _png(data: bytes) -> Optional[Header]:
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    at, orientation, complete = 8, 1, False
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        elif kind == b"IEND":
            complete = True
        at += 12 + length
    return Header("PNG", width, height, orientation, complete)


def _bmp(data: bytes) -> Optional[Header]:
    (start,) = struct.unpack_from("<I", data, 10)
    width, height = struct.unpack_from("<ii", data, 18)
    (bits,) = struct.unpack_from("<H", data, 28)
    (compression,) = struct.unpack_from("<I", data, 30)
    rows = abs(height)  # a negative height means that rows are stored from the top
    packed = compression in (1, 2, 4, 5)
    complete = packed or len(data) >= start + (width * bits + 31) // 32 * 4 * rows
    return Header("BMP", width, rows, 1, complete)


def _webp(data: bytes) -> Optional[Header]:
    (riff,) = struct.unpack_from("<I", data, 4)
    complete = len(data) >= riff + 8
    size, orientation, at = None, 1, 12
    while at + 8 <= len(data):
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        body = at + 8
        if kind == b"VP8X":
            size = tuple(1 + int.from_bytes(data[body + k : body + k + 3], "little") for k in (4, 7))
        elif kind == b"VP8 " and size is None:
            size = tuple(n & 0x3FFF for n in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and size is None:
            (bits,) = struct.unpack_from("<I", data, body + 1)
            size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"EXIF":
            blob = data[body : body + length]
            orientation = _exif_orientation(blob[6:] if blob[:6] == b"Exif\0\0" else blob)
        at = body + length + (length & 1)
    return Header("WEBP", size[0], size[1], orientation, complete) if size else None


def _exif_orientation(tiff: bytes) -> int:
    """The orientation tag of a TIFF block's first directory; 1 where there is none or it is odd."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for k in range(min(count, 512)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * k)
            if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass
    return 1
